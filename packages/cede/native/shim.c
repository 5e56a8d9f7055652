/*
 * The system-call shim of the epoll driver: sockets and epoll as JavaScript functions, and one uv_poll handle for each
 * epoll descriptor as the only way back into JavaScript. Everything above, queues, order, fairness, is TypeScript.
 *
 * What all calls have in common
 *   - They return a number: 0 or more if it worked, else the negative errno. They never throw and never block. Arguments
 *     of a wrong kind give -EINVAL. A call that is interrupted by a signal is made again.
 *   - Descriptors are plain numbers. Those that a call returns are non-blocking, close on exec, and belong to the
 *     environment (thread) that asked for them: whoever calls must close them with `close` or `reset`, and what is still
 *     open when the environment ends is closed here. A descriptor is never used by two environments.
 *   - Memory (Uint8Array) belongs to the caller. It is used during the call only; nothing is kept. One exception: the
 *     array that `openPoller` is given is kept until `closePoller`, and must not be transferred meanwhile.
 *   - All state is in the instance data of one environment; there is not a single global variable, so any number of
 *     worker threads can use the shim at once.
 *
 * Only Node-API and the few functions of libuv-poll.h are used, besides system calls that glibc and musl share. So the
 * shim is linked to no C library of its own and one binary serves both; the process has one already.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 8

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <node_api.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "libuv-poll.h"

enum {
  /* Events that one look at an epoll descriptor gives at most. */
  MOST_EVENTS = 256,
  /* Pieces that one `writeMany` sends at most. */
  MOST_PIECES = 64,
  /* What an address is written into: family, port and length of the text as int32, then the text. */
  ADDRESS_HEAD = 12,
  ADDRESS_BYTES = ADDRESS_HEAD + sizeof(((struct sockaddr_un *)0)->sun_path) + 1,
};

/* The kinds of addresses, as JavaScript is told them. */
enum { FAMILY_UNKNOWN = 0, FAMILY_UNIX = 1, FAMILY_IPV4 = 4, FAMILY_IPV6 = 6 };

/* Bits of the last argument of `listenTcp`. */
enum { LISTEN_REUSE_PORT = 1, LISTEN_IPV6_ONLY = 2 };

struct instance;

/* One epoll descriptor, polled by the event loop of its environment. */
struct poller {
  struct poller *next;
  struct instance *instance;
  /* Of libuv; lives until its close callback. */
  uv_poll_t *handle;
  int epoll;
  /* `closePoller` was called, maybe from inside the callback. */
  int closed;
  /* The Int32Array that events are written into: token and bits, one pair after the other. Kept alive by a reference. */
  int32_t *events;
  size_t room;
  napi_ref events_reference;
  napi_ref callback;
};

/* What one environment has. */
struct instance {
  napi_env env;
  struct poller *pollers;
  /* Handles of libuv whose close callback has not come. */
  int closing;
  /* For each descriptor below `owned_size`: 1 if it was made here and is open. */
  unsigned char *owned;
  int owned_size;
  int owned_count;
  napi_async_cleanup_hook_handle cleanup;
  int cleaning;
};

/* ------------------------------------------------------------------ arguments and results */

static napi_value number(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int32(env, (int32_t)value, &result);
  return result;
}

/* Gets the arguments; those that are missing are undefined. */
static struct instance *called(napi_env env, napi_callback_info info, napi_value *arguments, size_t count) {
  void *data = NULL;
  napi_get_cb_info(env, info, &count, arguments, NULL, &data);
  return data;
}

/* A number, or -1, which is no descriptor, size or port. */
static int32_t integer(napi_env env, napi_value value) {
  int32_t result = -1;
  napi_get_value_int32(env, value, &result);
  return result;
}

/* A number of bytes, or -1. It may be more than an int32 holds: what a call then takes at once is less. */
static int64_t byte_count(napi_env env, napi_value value) {
  int64_t result = -1;
  napi_get_value_int64(env, value, &result);
  return result;
}

/* Whether `length` bytes from `start` on are within `size`. */
static int is_within(int64_t start, int64_t length, size_t size) {
  return start >= 0 && length >= 0 && (uint64_t)start <= size && (uint64_t)length <= size - (uint64_t)start;
}

static int is_true(napi_env env, napi_value value) {
  bool result = false;
  napi_get_value_bool(env, value, &result);
  return result;
}

/* The memory of a typed array of the given kind; 0 if it is something else. */
static int memory_of(napi_env env, napi_value value, napi_typedarray_type kind, void **data, size_t *length) {
  napi_typedarray_type found;
  if (napi_get_typedarray_info(env, value, &found, length, data, NULL, NULL) != napi_ok) return 0;
  return found == kind;
}

/* Copies a string as UTF-8, with its end, into `text`. Its length in bytes, or -1 if it is none or too long. */
static int text_of(napi_env env, napi_value value, char *text, size_t size) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok || length >= size) return -1;
  napi_get_value_string_utf8(env, value, text, size, &length);
  return (int)length;
}

/* ------------------------------------------------------------------ whose descriptors are whose */

/* Notes a new descriptor, or closes it if there is no memory to do so. Returns it, or the negative errno. */
static int own(struct instance *instance, int fd) {
  if (fd < 0) return -errno;
  if (fd >= instance->owned_size) {
    int size = instance->owned_size == 0 ? 1024 : instance->owned_size;
    while (size <= fd) size *= 2;
    unsigned char *larger = realloc(instance->owned, (size_t)size);
    if (larger == NULL) {
      close(fd);
      return -ENOMEM;
    }
    memset(larger + instance->owned_size, 0, (size_t)(size - instance->owned_size));
    instance->owned = larger;
    instance->owned_size = size;
  }
  instance->owned[fd] = 1;
  instance->owned_count++;
  return fd;
}

/* True once for each descriptor that was made here: nothing else is ever closed. */
static int disown(struct instance *instance, int fd) {
  if (fd < 0 || fd >= instance->owned_size || !instance->owned[fd]) return 0;
  instance->owned[fd] = 0;
  instance->owned_count--;
  return 1;
}

/* Closes a descriptor of ours after something failed, and returns why. */
static int give_up(struct instance *instance, int fd) {
  int error = errno;
  if (disown(instance, fd)) close(fd);
  return -error;
}

/* ------------------------------------------------------------------ addresses */

/* Reads `127.0.0.1`, `::1`, `fe80::1%eth0`. Its length, or 0 if it is no address, or `port` is none. */
static socklen_t parse_address(const char *host, int port, struct sockaddr_storage *address) {
  memset(address, 0, sizeof *address);
  if (port < 0 || port > UINT16_MAX) return 0;
  struct sockaddr_in *four = (struct sockaddr_in *)address;
  if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons((uint16_t)port);
    return sizeof *four;
  }
  struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
  char plain[INET6_ADDRSTRLEN];
  const char *zone = strchr(host, '%');
  size_t length = zone == NULL ? strlen(host) : (size_t)(zone - host);
  if (length >= sizeof plain) return 0;
  memcpy(plain, host, length);
  plain[length] = 0;
  if (inet_pton(AF_INET6, plain, &six->sin6_addr) != 1) return 0;
  if (zone != NULL) six->sin6_scope_id = if_nametoindex(zone + 1);
  six->sin6_family = AF_INET6;
  six->sin6_port = htons((uint16_t)port);
  return sizeof *six;
}

/* The length of the address of a Unix socket; 0 if the path is too long. One that begins with a zero byte has no file. */
static socklen_t unix_address(const char *path, int length, struct sockaddr_un *address) {
  memset(address, 0, sizeof *address);
  if (length < 1 || (size_t)length >= sizeof address->sun_path) return 0;
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, path, (size_t)length);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length + (path[0] == 0 ? 0 : 1));
}

/* Writes an address for JavaScript; `memory` has room for ADDRESS_BYTES. */
static void write_address(const struct sockaddr_storage *address, socklen_t length, unsigned char *memory) {
  int32_t head[3] = {FAMILY_UNKNOWN, 0, 0};
  char *text = (char *)memory + ADDRESS_HEAD;
  if (address->ss_family == AF_INET) {
    const struct sockaddr_in *four = (const struct sockaddr_in *)address;
    head[0] = FAMILY_IPV4;
    head[1] = ntohs(four->sin_port);
    inet_ntop(AF_INET, &four->sin_addr, text, INET_ADDRSTRLEN);
    head[2] = (int32_t)strlen(text);
  } else if (address->ss_family == AF_INET6) {
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
    head[0] = FAMILY_IPV6;
    head[1] = ntohs(six->sin6_port);
    inet_ntop(AF_INET6, &six->sin6_addr, text, INET6_ADDRSTRLEN);
    size_t end = strlen(text);
    if (IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr) && six->sin6_scope_id != 0) {
      char name[IF_NAMESIZE];
      if (if_indextoname(six->sin6_scope_id, name) != NULL) {
        text[end++] = '%';
        memcpy(text + end, name, strlen(name));
        end += strlen(name);
      }
    }
    head[2] = (int32_t)end;
  } else if (address->ss_family == AF_UNIX) {
    const struct sockaddr_un *file = (const struct sockaddr_un *)address;
    head[0] = FAMILY_UNIX;
    size_t offset = offsetof(struct sockaddr_un, sun_path);
    size_t bytes = length > offset ? length - offset : 0;
    /* The zero byte at the end of a path is not part of it; one at the beginning is. */
    if (bytes > 0 && file->sun_path[0] != 0) bytes = strnlen(file->sun_path, bytes);
    memcpy(text, file->sun_path, bytes);
    head[2] = (int32_t)bytes;
  }
  memcpy(memory, head, sizeof head);
}

/* ------------------------------------------------------------------ epoll */

/*
 * A look at an epoll descriptor that does not wait. Writes (token, bits) pairs into the poller's array and returns how
 * many, or the negative errno.
 */
static int look(struct poller *poller) {
  struct epoll_event found[MOST_EVENTS];
  int most = poller->room < MOST_EVENTS ? (int)poller->room : MOST_EVENTS;
  int count;
  do {
    count = epoll_wait(poller->epoll, found, most, 0);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return -errno;
  int32_t *events = poller->events;
  for (int i = 0; i < count; i++) {
    events[2 * i] = (int32_t)found[i].data.u32;
    events[2 * i + 1] = (int32_t)found[i].events;
  }
  return count;
}

/* What JavaScript threw goes where errors of callbacks go. */
static void tell_error(napi_env env) {
  bool pending = false;
  napi_value error;
  if (napi_is_exception_pending(env, &pending) != napi_ok || !pending) return;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

/* Called by libuv when the epoll descriptor has events. Ticks and promise callbacks run after each call of JavaScript. */
static void poll_ready(uv_poll_t *handle, int status, int events) {
  (void)events;
  struct poller *poller = uv_handle_get_data((uv_handle_t *)handle);
  napi_env env = poller->instance->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value callback, global, again;
  napi_get_reference_value(env, poller->callback, &callback);
  napi_get_global(env, &global);
  for (bool more = true; more && !poller->closed;) {
    int count = status < 0 ? status : look(poller);
    if (count == 0) break;
    napi_handle_scope inner;
    if (napi_open_handle_scope(env, &inner) != napi_ok) break;
    napi_value argument = number(env, count);
    more = false;
    if (napi_make_callback(env, NULL, global, callback, 1, &argument, &again) == napi_ok)
      napi_get_value_bool(env, again, &more);
    else
      tell_error(env);
    napi_close_handle_scope(env, inner);
    if (count < 0) break;
  }
  napi_close_handle_scope(env, scope);
}

static void finish_cleanup(struct instance *instance) {
  if (!instance->cleaning || instance->closing > 0) return;
  napi_async_cleanup_hook_handle cleanup = instance->cleanup;
  instance->cleanup = NULL;
  if (cleanup != NULL) napi_remove_async_cleanup_hook(cleanup);
}

static void poll_closed(uv_handle_t *handle) {
  struct poller *poller = uv_handle_get_data(handle);
  struct instance *instance = poller->instance;
  free(handle);
  free(poller);
  instance->closing--;
  finish_cleanup(instance);
}

/* Takes it off the list and lets libuv close the handle; memory is freed when it has. */
static void close_poller(struct poller *poller) {
  struct instance *instance = poller->instance;
  struct poller **place = &instance->pollers;
  while (*place != poller) place = &(*place)->next;
  *place = poller->next;
  poller->closed = 1;
  uv_poll_stop(poller->handle);
  uv_close((uv_handle_t *)poller->handle, poll_closed);
  instance->closing++;
  if (disown(instance, poller->epoll)) close(poller->epoll);
}

/* Closes it while JavaScript can still be called. */
static void drop_poller(napi_env env, struct poller *poller) {
  napi_delete_reference(env, poller->events_reference);
  napi_delete_reference(env, poller->callback);
  close_poller(poller);
}

static struct poller *find_poller(struct instance *instance, int epoll) {
  struct poller *poller = instance->pollers;
  while (poller != NULL && poller->epoll != epoll) poller = poller->next;
  return poller;
}

/*
 * openPoller(events: Int32Array, callback: (count) => boolean): descriptor
 *
 * Makes an epoll descriptor and lets the event loop of this environment poll it. When it has events they are written
 * into `events`, token and bits, pair after pair, and `callback` is told how many; it returns true to look for more at
 * once. A negative count is an errno: the descriptor cannot be polled any more. Promise callbacks and ticks run after
 * each call; what the callback throws is an uncaught exception. The poller keeps the process alive until `referPoller`
 * says otherwise. Errors: those of epoll_create1 (EMFILE, ENFILE, ENOMEM, or ENOSYS and EPERM in a sandbox) and of
 * epoll_ctl, which the event loop uses.
 */
static napi_value open_poller(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct instance *instance = called(env, info, arguments, 2);
  void *data;
  size_t length;
  napi_valuetype kind;
  if (!memory_of(env, arguments[0], napi_int32_array, &data, &length) || length < 2) return number(env, -EINVAL);
  if (napi_typeof(env, arguments[1], &kind) != napi_ok || kind != napi_function) return number(env, -EINVAL);
  struct uv_loop_s *loop;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return number(env, -ENOSYS);

  struct poller *poller = calloc(1, sizeof *poller);
  uv_poll_t *handle = calloc(1, uv_handle_size(UV_HANDLE_TYPE_POLL));
  int fd = own(instance, epoll_create1(EPOLL_CLOEXEC));
  int error = poller == NULL || handle == NULL ? -ENOMEM : fd < 0 ? fd : uv_poll_init(loop, handle, fd);
  if (error < 0) {
    free(poller);
    free(handle);
    if (disown(instance, fd)) close(fd);
    return number(env, error);
  }
  poller->instance = instance;
  poller->handle = handle;
  poller->epoll = fd;
  poller->events = data;
  poller->room = length / 2;
  poller->next = instance->pollers;
  instance->pollers = poller;
  uv_handle_set_data((uv_handle_t *)handle, poller);
  napi_create_reference(env, arguments[0], 1, &poller->events_reference);
  napi_create_reference(env, arguments[1], 1, &poller->callback);
  error = uv_poll_start(handle, UV_EVENT_READABLE, poll_ready);
  if (error < 0) drop_poller(env, poller);
  return number(env, error < 0 ? error : fd);
}

/* closePoller(descriptor): 0. Closes it; its callback is not called again. EBADF: there is none. */
static napi_value close_poller_call(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  struct instance *instance = called(env, info, arguments, 1);
  struct poller *poller = find_poller(instance, integer(env, arguments[0]));
  if (poller == NULL) return number(env, -EBADF);
  drop_poller(env, poller);
  return number(env, 0);
}

/* referPoller(descriptor, needed: boolean): 0. Whether it keeps the process alive. EBADF: there is none. */
static napi_value refer_poller(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct instance *instance = called(env, info, arguments, 2);
  struct poller *poller = find_poller(instance, integer(env, arguments[0]));
  if (poller == NULL) return number(env, -EBADF);
  if (is_true(env, arguments[1]))
    uv_ref((uv_handle_t *)poller->handle);
  else
    uv_unref((uv_handle_t *)poller->handle);
  return number(env, 0);
}

static napi_value control(napi_env env, napi_callback_info info, int operation) {
  napi_value arguments[4];
  called(env, info, arguments, 4);
  struct epoll_event event = {0};
  event.events = (uint32_t)integer(env, arguments[2]);
  event.data.u32 = (uint32_t)integer(env, arguments[3]);
  int result = epoll_ctl(integer(env, arguments[0]), operation, integer(env, arguments[1]), &event);
  return number(env, result < 0 ? -errno : 0);
}

/*
 * watch(poller, descriptor, bits, token): 0
 *
 * Tells `token` (any int32) whenever `descriptor` has one of the epoll `bits`. Any descriptor that can be polled will do;
 * it stays whose it is. EEXIST: it is watched already; EPERM: it cannot be polled (a plain file); ENOSPC: the user's limit.
 */
static napi_value watch(napi_env env, napi_callback_info info) {
  return control(env, info, EPOLL_CTL_ADD);
}

/* rewatch(poller, descriptor, bits, token): 0. Changes bits and token. ENOENT: it is not watched. */
static napi_value rewatch(napi_env env, napi_callback_info info) {
  return control(env, info, EPOLL_CTL_MOD);
}

/* unwatch(poller, descriptor): 0. Closing a descriptor of ours does the same. ENOENT: it is not watched. */
static napi_value unwatch(napi_env env, napi_callback_info info) {
  return control(env, info, EPOLL_CTL_DEL);
}

/* ------------------------------------------------------------------ sockets: bytes */

/*
 * read(socket, memory: Uint8Array, start, length): bytes
 *
 * Receives up to `length` bytes to `start` of `memory`. 0: the peer has ended its direction. EAGAIN:
 * nothing is there; ECONNRESET, ETIMEDOUT, ...: the connection broke.
 */
static napi_value read_call(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  called(env, info, arguments, 4);
  void *memory;
  size_t size;
  int64_t start = byte_count(env, arguments[2]), length = byte_count(env, arguments[3]);
  if (!memory_of(env, arguments[1], napi_uint8_array, &memory, &size)) return number(env, -EINVAL);
  if (!is_within(start, length, size)) return number(env, -EINVAL);
  int fd = integer(env, arguments[0]);
  ssize_t bytes;
  do {
    bytes = recv(fd, (char *)memory + start, (size_t)length, 0);
  } while (bytes < 0 && errno == EINTR);
  return number(env, bytes < 0 ? -errno : bytes);
}

/*
 * write(socket, memory: Uint8Array, start, length): bytes
 *
 * Sends `length` bytes from `start` of `memory`; fewer, if the system has no room. EAGAIN: it has none at all; EPIPE,
 * ECONNRESET, ...: the connection broke. There is no SIGPIPE.
 */
static napi_value write_call(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  called(env, info, arguments, 4);
  void *memory;
  size_t size;
  int64_t start = byte_count(env, arguments[2]), length = byte_count(env, arguments[3]);
  if (!memory_of(env, arguments[1], napi_uint8_array, &memory, &size)) return number(env, -EINVAL);
  if (!is_within(start, length, size)) return number(env, -EINVAL);
  int fd = integer(env, arguments[0]);
  ssize_t bytes;
  do {
    bytes = send(fd, (const char *)memory + start, (size_t)length, MSG_NOSIGNAL);
  } while (bytes < 0 && errno == EINTR);
  return number(env, bytes < 0 ? -errno : bytes);
}

/*
 * writeMany(socket, list: Uint8Array[], first, start): bytes
 *
 * Sends the arrays of `list` from index `first` on, up to 64 of them, in one call; of the first one without the `start`
 * bytes at its beginning. Results are those of `write`.
 */
static napi_value write_many(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  called(env, info, arguments, 4);
  uint32_t count;
  if (napi_get_array_length(env, arguments[1], &count) != napi_ok) return number(env, -EINVAL);
  int32_t first = integer(env, arguments[2]);
  int64_t start = byte_count(env, arguments[3]);
  if (first < 0 || (uint32_t)first >= count) return number(env, -EINVAL);
  struct iovec pieces[MOST_PIECES];
  size_t used = 0;
  for (uint32_t i = (uint32_t)first; i < count && used < MOST_PIECES; i++, used++) {
    napi_value piece;
    void *memory;
    size_t size;
    if (napi_get_element(env, arguments[1], i, &piece) != napi_ok) return number(env, -EINVAL);
    if (!memory_of(env, piece, napi_uint8_array, &memory, &size)) return number(env, -EINVAL);
    int64_t skipped = used == 0 ? start : 0;
    if (!is_within(skipped, 0, size)) return number(env, -EINVAL);
    pieces[used].iov_base = (char *)memory + skipped;
    pieces[used].iov_len = size - (size_t)skipped;
  }
  struct msghdr message;
  memset(&message, 0, sizeof message);
  message.msg_iov = pieces;
  message.msg_iovlen = used;
  int fd = integer(env, arguments[0]);
  ssize_t bytes;
  do {
    bytes = sendmsg(fd, &message, MSG_NOSIGNAL);
  } while (bytes < 0 && errno == EINTR);
  return number(env, bytes < 0 ? -errno : bytes);
}

/* endWriting(socket): 0. The peer finds the end of the stream after what was sent. ENOTCONN: the connection broke. */
static napi_value end_writing(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  called(env, info, arguments, 1);
  return number(env, shutdown(integer(env, arguments[0]), SHUT_WR) < 0 ? -errno : 0);
}

/* close(descriptor): 0. What was sent and not yet received goes on its way. EBADF: it is none of ours. */
static napi_value close_call(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  struct instance *instance = called(env, info, arguments, 1);
  int fd = integer(env, arguments[0]);
  if (!disown(instance, fd)) return number(env, -EBADF);
  /* Even if it is interrupted, the descriptor is closed afterwards. */
  close(fd);
  return number(env, 0);
}

/* reset(socket): 0. Closes it; of TCP, what was not sent is dropped, and the peer is reset. EBADF: it is none of ours. */
static napi_value reset(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  struct instance *instance = called(env, info, arguments, 1);
  int fd = integer(env, arguments[0]);
  if (!disown(instance, fd)) return number(env, -EBADF);
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
  return number(env, 0);
}

/* ------------------------------------------------------------------ sockets: made and set up */

/* Like libuv: the first question after `seconds`, then one each second, ten in all. */
static int keep_alive(int fd, int on, int seconds) {
  int interval = 1, count = 10;
  if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) < 0) return -1;
  if (!on || seconds < 1) return 0;
  if (setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds) < 0) return -1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval) < 0) return -1;
  return setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

static int set_up(int fd, int no_delay, int keep_alive_seconds) {
  int on = 1;
  if (no_delay && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) return -1;
  return keep_alive_seconds < 0 ? 0 : keep_alive(fd, 1, keep_alive_seconds);
}

/*
 * listenTcp(host, port, backlog, noDelay: boolean, keepAliveSeconds, bits): socket
 *
 * Listens at an address, not a name. Accepted connections inherit `noDelay` and, unless it is -1, `keepAliveSeconds`.
 * Bits: 1, other processes may listen there too (SO_REUSEPORT); 2, IPv6 alone. EINVAL: no address or port; EADDRINUSE,
 * EADDRNOTAVAIL, EACCES, EAFNOSUPPORT (no IPv6 here), EMFILE.
 */
static napi_value listen_tcp(napi_env env, napi_callback_info info) {
  napi_value arguments[6];
  struct instance *instance = called(env, info, arguments, 6);
  char host[128];
  struct sockaddr_storage address;
  if (text_of(env, arguments[0], host, sizeof host) < 0) return number(env, -EINVAL);
  socklen_t length = parse_address(host, integer(env, arguments[1]), &address);
  if (length == 0) return number(env, -EINVAL);
  int bits = integer(env, arguments[5]), on = 1, alone = (bits & LISTEN_IPV6_ONLY) != 0;
  int fd = own(instance, socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd < 0) return number(env, fd);
  int failed = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
               ((bits & LISTEN_REUSE_PORT) && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) ||
               (address.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &alone, sizeof alone) < 0) ||
               set_up(fd, is_true(env, arguments[3]), integer(env, arguments[4])) < 0 ||
               bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, integer(env, arguments[2])) < 0;
  return number(env, failed ? give_up(instance, fd) : fd);
}

/*
 * listenUnix(path, backlog): socket
 *
 * Makes the file, which is the caller's to remove, and listens there. A path that begins with a zero byte is a name
 * without a file. EINVAL: the path is empty or longer than 107 bytes; EADDRINUSE: something is there; EACCES, ENOENT.
 */
static napi_value listen_unix(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct instance *instance = called(env, info, arguments, 2);
  char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
  struct sockaddr_un address;
  socklen_t length = unix_address(path, text_of(env, arguments[0], path, sizeof path), &address);
  if (length == 0) return number(env, -EINVAL);
  int fd = own(instance, socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd < 0) return number(env, fd);
  int failed = bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, integer(env, arguments[1])) < 0;
  return number(env, failed ? give_up(instance, fd) : fd);
}

/*
 * accept(socket, address: Uint8Array): socket
 *
 * Takes the next connection from a listening socket and writes who it is into `address` (see `localAddress`). EAGAIN:
 * there is none; ECONNABORTED and the like: it was gone before it was accepted, ask again; EMFILE, ENFILE, ENOBUFS,
 * ENOMEM: this machine has no room for it, and it keeps waiting.
 */
static napi_value accept_call(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct instance *instance = called(env, info, arguments, 2);
  void *memory;
  size_t size;
  if (!memory_of(env, arguments[1], napi_uint8_array, &memory, &size) || size < ADDRESS_BYTES)
    return number(env, -EINVAL);
  int fd = integer(env, arguments[0]), accepted;
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  memset(&address, 0, sizeof address);
  do {
    accepted = accept4(fd, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  } while (accepted < 0 && errno == EINTR);
  accepted = own(instance, accepted);
  if (accepted >= 0) write_address(&address, length, memory);
  return number(env, accepted);
}

/*
 * connectTcp(host, port, localHost, localPort, noDelay: boolean, keepAliveSeconds): socket
 *
 * Begins to connect to an address. It is over when the socket becomes writable; `socketError` tells how it went. An
 * empty `localHost` and port 0 leave that to the system; keepAliveSeconds of -1 is off. EINVAL: no address or port;
 * EADDRNOTAVAIL, EADDRINUSE: the local one; ENETUNREACH, EMFILE.
 */
static napi_value connect_tcp(napi_env env, napi_callback_info info) {
  napi_value arguments[6];
  struct instance *instance = called(env, info, arguments, 6);
  char host[128], local_host[128];
  struct sockaddr_storage address, local;
  if (text_of(env, arguments[0], host, sizeof host) < 0) return number(env, -EINVAL);
  if (text_of(env, arguments[2], local_host, sizeof local_host) < 0) return number(env, -EINVAL);
  socklen_t length = parse_address(host, integer(env, arguments[1]), &address);
  if (length == 0) return number(env, -EINVAL);
  socklen_t local_length = 0;
  int local_port = integer(env, arguments[3]);
  if (local_host[0] != 0 || local_port != 0) {
    const char *any = address.ss_family == AF_INET ? "0.0.0.0" : "::";
    local_length = parse_address(local_host[0] != 0 ? local_host : any, local_port, &local);
    if (local_length == 0) return number(env, -EINVAL);
  }

  int fd = own(instance, socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)), on = 1;
  if (fd < 0) return number(env, fd);
  int failed = set_up(fd, is_true(env, arguments[4]), integer(env, arguments[5])) < 0;
  if (!failed && local_length > 0)
    failed = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
             bind(fd, (struct sockaddr *)&local, local_length) < 0;
  /* Interrupted by a signal it goes on by itself, as one that takes its time. */
  if (!failed && connect(fd, (struct sockaddr *)&address, length) < 0)
    failed = errno != EINPROGRESS && errno != EINTR;
  return number(env, failed ? give_up(instance, fd) : fd);
}

/* connectUnix(path): socket. As connectTcp. ENOENT, ECONNREFUSED, EACCES; EAGAIN: too many wait to be accepted there. */
static napi_value connect_unix(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  struct instance *instance = called(env, info, arguments, 1);
  char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
  struct sockaddr_un address;
  socklen_t length = unix_address(path, text_of(env, arguments[0], path, sizeof path), &address);
  if (length == 0) return number(env, -EINVAL);
  int fd = own(instance, socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd < 0) return number(env, fd);
  int result;
  do {
    result = connect(fd, (struct sockaddr *)&address, length);
  } while (result < 0 && errno == EINTR);
  return number(env, result < 0 && errno != EINPROGRESS ? give_up(instance, fd) : fd);
}

/* socketError(socket): 0, or the negative errno of what went wrong with it, which is told once. */
static napi_value socket_error(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  called(env, info, arguments, 1);
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(integer(env, arguments[0]), SOL_SOCKET, SO_ERROR, &error, &length) < 0) error = errno;
  return number(env, -error);
}

/* setNoDelay(socket, on: boolean): 0. Small writes leave at once. EOPNOTSUPP: it is no socket of TCP. */
static napi_value set_no_delay(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  called(env, info, arguments, 2);
  int on = is_true(env, arguments[1]);
  int result = setsockopt(integer(env, arguments[0]), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return number(env, result < 0 ? -errno : 0);
}

/* setKeepAlive(socket, on: boolean, seconds): 0. After so many seconds of silence the system asks for the peer. */
static napi_value set_keep_alive(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  called(env, info, arguments, 3);
  int result = keep_alive(integer(env, arguments[0]), is_true(env, arguments[1]), integer(env, arguments[2]));
  return number(env, result < 0 ? -errno : 0);
}

typedef int (*name_call)(int, struct sockaddr *, socklen_t *);

static napi_value name_of(napi_env env, napi_callback_info info, name_call call) {
  napi_value arguments[2];
  called(env, info, arguments, 2);
  void *memory;
  size_t size;
  if (!memory_of(env, arguments[1], napi_uint8_array, &memory, &size) || size < ADDRESS_BYTES)
    return number(env, -EINVAL);
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  memset(&address, 0, sizeof address);
  if (call(integer(env, arguments[0]), (struct sockaddr *)&address, &length) < 0) return number(env, -errno);
  write_address(&address, length, memory);
  return number(env, 0);
}

/*
 * localAddress(socket, address: Uint8Array): 0
 *
 * Writes where this end is into `address`, which has 128 bytes: as int32 the family (4, 6; 1: Unix; 0: none), the port,
 * and the length of the text; then the text, from byte 12 on: the host, or the path of a Unix socket.
 */
static napi_value local_address(napi_env env, napi_callback_info info) {
  return name_of(env, info, getsockname);
}

/* remoteAddress(socket, address: Uint8Array): 0. The same of the other end. ENOTCONN: it is gone. */
static napi_value remote_address(napi_env env, napi_callback_info info) {
  return name_of(env, info, getpeername);
}

/* openDescriptors(): how many descriptors this environment got from here and has not closed. */
static napi_value open_descriptors(napi_env env, napi_callback_info info) {
  struct instance *instance = called(env, info, NULL, 0);
  return number(env, instance->owned_count);
}

/* ------------------------------------------------------------------ the module */

/* The environment ends: everything is closed, and what libuv still holds is freed when it lets go. */
static void clean_up(napi_async_cleanup_hook_handle handle, void *data) {
  struct instance *instance = data;
  (void)handle;
  instance->cleaning = 1;
  while (instance->pollers != NULL) close_poller(instance->pollers);
  for (int fd = 0; fd < instance->owned_size; fd++) {
    if (disown(instance, fd)) close(fd);
  }
  finish_cleanup(instance);
}

static void free_instance(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  struct instance *instance = data;
  free(instance->owned);
  free(instance);
}

NAPI_MODULE_INIT() {
  struct instance *instance = calloc(1, sizeof *instance);
  if (instance == NULL) return NULL;
  instance->env = env;
  if (napi_set_instance_data(env, instance, free_instance, NULL) != napi_ok) {
    free(instance);
    return NULL;
  }
  if (napi_add_async_cleanup_hook(env, clean_up, instance, &instance->cleanup) != napi_ok) return NULL;

  static const struct {
    const char *name;
    napi_callback call;
  } calls[] = {
      {"openPoller", open_poller},
      {"closePoller", close_poller_call},
      {"referPoller", refer_poller},
      {"watch", watch},
      {"rewatch", rewatch},
      {"unwatch", unwatch},
      {"read", read_call},
      {"write", write_call},
      {"writeMany", write_many},
      {"endWriting", end_writing},
      {"close", close_call},
      {"reset", reset},
      {"listenTcp", listen_tcp},
      {"listenUnix", listen_unix},
      {"accept", accept_call},
      {"connectTcp", connect_tcp},
      {"connectUnix", connect_unix},
      {"socketError", socket_error},
      {"setNoDelay", set_no_delay},
      {"setKeepAlive", set_keep_alive},
      {"localAddress", local_address},
      {"remoteAddress", remote_address},
      {"openDescriptors", open_descriptors},
  };
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
    napi_value function;
    if (napi_create_function(env, calls[i].name, NAPI_AUTO_LENGTH, calls[i].call, instance, &function) != napi_ok ||
        napi_set_named_property(env, exports, calls[i].name, function) != napi_ok)
      return NULL;
  }
  return exports;
}
