/** How long peers have when we are through with them, on every driver. */

/** For a peer that was refused with an answer to read it, in milliseconds. */
export const LAST_ANSWER_MS = 1_000

/** So many peers are answered at a time, the rest are reset: those who flood a server must not use up descriptors. */
export const MOST_ANSWERING = 256

/** For a peer that still sends after we have closed to read what was sent to it, in milliseconds. */
export const LINGER_MS = 2_000
