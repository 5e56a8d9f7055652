// The load generator: one thread that keeps many connections to a line server busy and checks what comes back.
//
//   load <host> <port> <connections> <line bytes> <lines pipelined>
//
// It obeys lines on standard input, each answered with a line of JSON:
//
//   connect                  Opens all connections; comes first. Answer: {"connected":n,"ns":}, the time from the first to
//                            the last that was served.
//   closed <lines>           Closed loop: every connection has a batch of lines on the way, and sends the next batch
//                            when the last one is back, until so many lines have been echoed.
//   open <rate> <seconds>    Open loop: a line is due every 1/rate seconds, whatever became of those before. Its latency
//                            is counted from the moment it was due, not from when it could be sent: a server that stops
//                            for a second is late for everything that was due in that second.
//   flood <rate> <seconds>   The same over all connections but the first. That one sends without end, as fast as the
//                            server takes it, and reads what comes back. "flooded" says how many lines it got back.
//   stream <bytes>           Every connection sends so many bytes, a batch in a write, as fast as the server takes them,
//                            and reads them back.
//   deaf <bytes> <ms>        Every connection sends so many bytes and reads nothing, until the server has taken none for so
//                            many milliseconds. Answer: {"sent":bytes}, of all of them
//   hear                     Every connection reads what is still to come back. Answer: {"heard":bytes}
//
// Answers of the loops: {"ns":,"lines":,"p50":,"p99":,"p999":,"longest":,"flooded":}, times in nanoseconds; latencies are
// of whole batches in the closed loop, of lines in the open one, and there are none of a stream. On any failure, and if a
// single byte is wrong, {"error":"..."} and the end.
//
// What is sent is a ring of different lines; each connection begins at another place in it. So the bytes that come
// back are known by their position alone: they are compared where they arrive, and nothing is copied.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  RING_LINES = 61,
  // Connections come in order: when one is answered, those before it were accepted. Below every usual backlog.
  ANSWERED_EVERY = 64,
  PATIENCE_MS = 20000,
  // What a flood sends or reads at a time: more than any server takes meanwhile, and soon done, so that the others are
  // not looked after too late.
  FLOOD_BYTES = 16 * 1024,
  // From one source address there are 28,000 ports to one server, and the last of them take long to find.
  PER_SOURCE = 8000,
};

struct connection {
  int fd;
  // Positions in the stream, in bytes; taken modulo the ring they say which bytes.
  uint64_t wanted, sent, received;
  // Of the batch that is on the way: when it was sent. Of an open loop: the position where it began.
  uint64_t sent_at, began;
  int waits_for_room;
};

static struct connection *connections;
static int connection_count;
static uint64_t line_bytes, pipelined, ring_bytes;
static char *ring;
static int poller;
static char buffer[256 * 1024];

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  printf("{\"error\":\"%s\"}\n", text);
  exit(1);
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// ------------------------------------------------------------------ latencies

// Buckets of 1/64 of a power of two: quantiles are right to 1.6 %.
enum { SUB_BITS = 6, BUCKETS = (64 - SUB_BITS) << SUB_BITS };
static uint32_t counts[BUCKETS];
static uint64_t counted, longest;

static void note_latency(uint64_t ns) {
  int shift = 63 - SUB_BITS - __builtin_clzll(ns | (1u << SUB_BITS));
  counts[((uint64_t)shift << SUB_BITS) + (ns >> shift)]++;
  counted++;
  if (ns > longest) longest = ns;
}

static uint64_t quantile(double part) {
  uint64_t left = (uint64_t)((double)counted * part);
  for (uint64_t i = 0; i < BUCKETS; i++) {
    if (left < counts[i]) {
      uint64_t shift = i >> SUB_BITS > 1 ? (i >> SUB_BITS) - 1 : 0;
      uint64_t high = (i - (shift << SUB_BITS) + 1) << shift;
      return high < longest ? high : longest;
    }
    left -= counts[i];
  }
  return longest;
}

static void forget_latencies(void) {
  memset(counts, 0, sizeof counts);
  counted = longest = 0;
}

static void answer(uint64_t ns, uint64_t lines, uint64_t flooded) {
  printf("{\"ns\":%llu,\"lines\":%llu,\"p50\":%llu,\"p99\":%llu,\"p999\":%llu,\"longest\":%llu,\"flooded\":%llu}\n",
         (unsigned long long)ns, (unsigned long long)lines, (unsigned long long)quantile(0.5),
         (unsigned long long)quantile(0.99), (unsigned long long)quantile(0.999), (unsigned long long)longest,
         (unsigned long long)flooded);
}

// ------------------------------------------------------------------ lines

static void make_ring(void) {
  ring_bytes = RING_LINES * line_bytes;
  // A batch that begins in the last lines goes on behind the end, so that it is one write.
  uint64_t all = ring_bytes + pipelined * line_bytes;
  ring = malloc(all);
  if (ring == NULL) fail("make the lines: out of memory");
  uint32_t state = 2463534242u;
  for (uint64_t i = 0; i < all; i++) {
    if (i >= ring_bytes) {
      ring[i] = ring[i - ring_bytes];
    } else if (i % line_bytes == line_bytes - 1) {
      ring[i] = '\n';
    } else {
      state ^= state << 13, state ^= state >> 17, state ^= state << 5;
      ring[i] = (char)('!' + state % 94);
    }
  }
}

static void watch(struct connection *connection, int operation) {
  struct epoll_event event = {.events = EPOLLIN | (connection->waits_for_room ? EPOLLOUT : 0),
                              .data.ptr = connection};
  if (epoll_ctl(poller, operation, connection->fd, &event) < 0) fail("watch a socket: %s", strerror(errno));
}

/** Sends what is wanted, a batch at a time, as far as the socket takes it. */
static void flush(struct connection *connection) {
  while (connection->sent < connection->wanted) {
    uint64_t at = connection->sent % ring_bytes;
    uint64_t size = connection->wanted - connection->sent;
    uint64_t most = pipelined * line_bytes;
    ssize_t done = send(connection->fd, ring + at, size < most ? size : most, MSG_NOSIGNAL);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0 && errno != EAGAIN) fail("send to the server: %s", strerror(errno));
    if (done < 0) break;
    connection->sent += (uint64_t)done;
  }
  int waits = connection->sent < connection->wanted;
  if (waits == connection->waits_for_room) return;
  connection->waits_for_room = waits;
  watch(connection, EPOLL_CTL_MOD);
}

/** Reads once, at most so much, and compares. */
static void receive_some(struct connection *connection, size_t most) {
  ssize_t size = recv(connection->fd, buffer, most, 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size < 0) fail("receive from the server: %s", strerror(errno));
  if (size == 0) fail("receive from the server: it has closed a connection");
  if (connection->received + (uint64_t)size > connection->sent) fail("check an echo: more came back than was sent");
  for (uint64_t i = 0; i < (uint64_t)size;) {
    uint64_t at = connection->received % ring_bytes;
    uint64_t part = (uint64_t)size - i < ring_bytes - at ? (uint64_t)size - i : ring_bytes - at;
    if (memcmp(buffer + i, ring + at, part) != 0) fail("check an echo: wrong bytes came back");
    connection->received += part;
    i += part;
  }
}

static void receive(struct connection *connection) { receive_some(connection, sizeof buffer); }

/** Takes what the connections have to say; gives how many of them did. */
static int poll_once(struct epoll_event *events, int most, int timeout_ms) {
  int count = epoll_wait(poller, events, most, timeout_ms);
  if (count < 0 && errno == EINTR) return 0;
  if (count < 0) fail("wait for the server: %s", strerror(errno));
  if (count == 0 && timeout_ms > 0) fail("wait for the server: no answer within %d s", timeout_ms / 1000);
  for (int i = 0; i < count; i++) {
    struct connection *connection = events[i].data.ptr;
    if (events[i].events & EPOLLOUT) flush(connection);
    if (events[i].events & ~(uint32_t)EPOLLOUT) receive(connection);
  }
  return count;
}

// ------------------------------------------------------------------ loops

static struct epoll_event events[256];

static void closed_loop(uint64_t lines) {
  forget_latencies();
  uint64_t begun = 0, done = 0, start = now();
  for (int i = -connection_count; done < lines;) {
    struct connection *connection;
    int ready;
    if (i < 0) {
      // First every connection gets its batch.
      connection = &connections[connection_count + i++];
      ready = 1;
      events[0].data.ptr = connection;
    } else {
      ready = poll_once(events, 256, PATIENCE_MS);
    }
    for (int event = 0; event < ready; event++) {
      connection = events[event].data.ptr;
      if (connection->received < connection->wanted) continue;
      if (connection->sent_at != 0) {
        note_latency(now() - connection->sent_at);
        done += (connection->wanted - connection->began) / line_bytes;
        connection->sent_at = 0;
      }
      if (begun == lines) continue;
      uint64_t batch = lines - begun < pipelined ? lines - begun : pipelined;
      begun += batch;
      connection->began = connection->wanted;
      connection->wanted += batch * line_bytes;
      connection->sent_at = now();
      flush(connection);
    }
  }
  answer(now() - start, lines, 0);
}

/** What has begun is completed: whole lines, there and back. */
static void complete(struct connection *connection) {
  connection->wanted = (connection->sent + line_bytes - 1) / line_bytes * line_bytes;
  flush(connection);
  while (connection->received < connection->wanted) poll_once(events, 256, PATIENCE_MS);
}

static void open_loop(double rate, double seconds, struct connection *flooding) {
  forget_latencies();
  uint64_t lines = (uint64_t)(rate * seconds), begun = 0, done = 0;
  double interval = 1e9 / rate;
  struct connection *polite = flooding == NULL ? connections : flooding + 1;
  uint64_t polite_count = (uint64_t)(connections + connection_count - polite);
  for (int i = 0; i < connection_count; i++) connections[i].began = connections[i].wanted;
  uint64_t start = now(), heard = start;
  while (done < lines) {
    // Line k goes to polite connection k % count; so the nth line of a connection says by itself when it was due.
    uint64_t time = now();
    for (; begun < lines && (double)begun * interval <= (double)(time - start); begun++) {
      struct connection *connection = &polite[begun % polite_count];
      connection->wanted += line_bytes;
      flush(connection);
    }
    if (flooding != NULL && !flooding->waits_for_room) {
      flooding->wanted = flooding->sent + FLOOD_BYTES;
      flush(flooding);
    }
    uint64_t before[256];
    uint32_t of_flood = 0;
    int ready = epoll_wait(poller, events, 256, 0);
    time = now();
    if (ready <= 0 && time - heard > PATIENCE_MS * 1000000ull) fail("wait for the server: no answer");
    for (int event = 0; event < ready; event++) {
      struct connection *connection = events[event].data.ptr;
      if (connection == flooding) {
        of_flood = events[event].events;
        continue;
      }
      before[event] = connection->received;
      if (events[event].events & EPOLLOUT) flush(connection);
      if (events[event].events & ~(uint32_t)EPOLLOUT) receive(connection);
      heard = time;
      uint64_t first = (before[event] - connection->began) / line_bytes;
      uint64_t after = (connection->received - connection->began) / line_bytes;
      for (uint64_t nth = first; nth < after; nth++, done++) {
        uint64_t k = nth * polite_count + (uint64_t)(connection - polite);
        double due = (double)start + (double)k * interval;
        note_latency((double)time > due ? (uint64_t)((double)time - due) : 0);
      }
    }
    if (of_flood & EPOLLOUT) flush(flooding);
    if (of_flood & ~(uint32_t)EPOLLOUT) receive_some(flooding, FLOOD_BYTES);
  }
  uint64_t took = now() - start, flooded = 0;
  if (flooding != NULL) {
    flooded = (flooding->received - flooding->began) / line_bytes;
    complete(flooding);
  }
  answer(took, lines, flooded);
}

static void stream(uint64_t bytes) {
  forget_latencies();
  uint64_t start = now(), lines = (bytes + line_bytes - 1) / line_bytes;
  for (int i = 0; i < connection_count; i++) {
    connections[i].wanted += lines * line_bytes;
    flush(&connections[i]);
  }
  for (int i = 0; i < connection_count; i++) {
    while (connections[i].received < connections[i].wanted) poll_once(events, 256, PATIENCE_MS);
  }
  answer(now() - start, lines * (uint64_t)connection_count, 0);
}

static void stay_deaf(uint64_t bytes, int quiet_ms) {
  uint64_t sent = 0;
  for (int i = 0; i < connection_count; i++) connections[i].wanted += bytes;
  for (int i = 0; i < connection_count; i++) {
    struct connection *connection = &connections[i];
    uint64_t before = connection->sent;
    struct pollfd room = {.fd = connection->fd, .events = POLLOUT};
    do flush(connection);
    while (connection->sent < connection->wanted && poll(&room, 1, quiet_ms) > 0);
    sent += connection->sent - before;
  }
  printf("{\"sent\":%llu}\n", (unsigned long long)sent);
}

static void hear(void) {
  uint64_t heard = 0;
  for (int i = 0; i < connection_count; i++) {
    uint64_t before = connections[i].received;
    complete(&connections[i]);
    heard += connections[i].received - before;
  }
  printf("{\"heard\":%llu}\n", (unsigned long long)heard);
}

// ------------------------------------------------------------------ connecting

/** 127.0.0.1 may be asked from all of 127.0.0.0/8. */
static void choose_source(int fd, const struct addrinfo *address, int nth) {
  if (address->ai_family != AF_INET) return;
  struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)nth)};
  if (((const struct sockaddr_in *)address->ai_addr)->sin_addr.s_addr != htonl(INADDR_LOOPBACK)) return;
  int on = 1;
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&source, sizeof source) < 0) fail("bind a socket: %s", strerror(errno));
}

static void open_connection(struct connection *connection, const struct addrinfo *address) {
  connection->fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection->fd < 0) fail("make a socket: %s", strerror(errno));
  int source = (int)(connection - connections) / PER_SOURCE;
  if (source > 0) choose_source(connection->fd, address, source);
  if (connect(connection->fd, address->ai_addr, address->ai_addrlen) < 0) {
    fail("connect to the server: %s", strerror(errno));
  }
  int on = 1;
  setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (fcntl(connection->fd, F_SETFL, O_NONBLOCK) < 0) fail("make a socket non-blocking: %s", strerror(errno));
  watch(connection, EPOLL_CTL_ADD);
}

/** One line there and back, so that this connection and all before it are known to be served. */
static void exchange_line(struct connection *connection) {
  struct epoll_event event;
  connection->wanted += line_bytes;
  flush(connection);
  while (connection->received < connection->wanted) poll_once(&event, 1, PATIENCE_MS);
}

static void connect_all(const char *host, const char *port) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *address;
  int status = getaddrinfo(host, port, &hints, &address);
  if (status != 0) fail("look up %s: %s", host, gai_strerror(status));
  uint64_t start = now();
  for (int i = 0; i < connection_count; i++) {
    struct connection *connection = &connections[i];
    connection->wanted = connection->sent = connection->received = (uint64_t)(i % RING_LINES) * line_bytes;
    open_connection(connection, address);
    if (i % ANSWERED_EVERY == ANSWERED_EVERY - 1 || i == connection_count - 1) exchange_line(connection);
  }
  freeaddrinfo(address);
  printf("{\"connected\":%d,\"ns\":%llu}\n", connection_count, (unsigned long long)(now() - start));
}

static uint64_t whole_number(const char *text, const char *what) {
  char *end;
  long long value = strtoll(text, &end, 10);
  if (*end != '\0' || value < 1) fail("%s: a whole number above 0 was expected, found '%s'", what, text);
  return (uint64_t)value;
}

int main(int count, char **arguments) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (count != 6) fail("usage: load <host> <port> <connections> <line bytes> <lines pipelined>");
  connection_count = (int)whole_number(arguments[3], "connections");
  line_bytes = whole_number(arguments[4], "line bytes");
  pipelined = whole_number(arguments[5], "lines pipelined");

  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  poller = epoll_create1(EPOLL_CLOEXEC);
  connections = calloc((size_t)connection_count, sizeof *connections);
  if (poller < 0 || connections == NULL) fail("begin: %s", strerror(errno));
  make_ring();

  char line[256];
  int connected = 0;
  while (fgets(line, sizeof line, stdin) != NULL) {
    unsigned long long lines, bytes;
    int quiet_ms;
    double rate, seconds;
    if (!connected && strcmp(line, "connect\n") == 0) {
      connect_all(arguments[1], arguments[2]);
      connected = 1;
    } else if (connected && sscanf(line, "closed %llu", &lines) == 1 && lines > 0) {
      closed_loop(lines);
    } else if (connected && sscanf(line, "open %lf %lf", &rate, &seconds) == 2 && rate * seconds >= 1) {
      open_loop(rate, seconds, NULL);
    } else if (connected && sscanf(line, "flood %lf %lf", &rate, &seconds) == 2 && rate * seconds >= 1 &&
               connection_count > 1) {
      open_loop(rate, seconds, &connections[0]);
    } else if (connected && sscanf(line, "stream %llu", &bytes) == 1 && bytes > 0) {
      stream(bytes);
    } else if (connected && sscanf(line, "deaf %llu %d", &bytes, &quiet_ms) == 2 && bytes > 0 && quiet_ms > 0) {
      stay_deaf(bytes, quiet_ms);
    } else if (connected && strcmp(line, "hear\n") == 0) {
      hear();
    } else {
      fail("obey a command: connect, then closed, open, flood, stream, deaf or hear was expected, found '%.*s'",
           (int)strcspn(line, "\n"), line);
    }
  }
  return 0;
}
