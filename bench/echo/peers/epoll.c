// An echo server on bare epoll: one thread, chunks go back as they come.
//
//   epoll <port of 127.0.0.1>
//
// What the socket does not take at once is kept, and nothing more is read from a connection before it is gone.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
  int fd;
  // What is left to write, if anything: its own copy, since the buffer is shared.
  char *left;
  size_t left_start, left_end;
};

static int poller;
static char buffer[64 * 1024];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void watch(struct connection *connection, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = connection};
  if (epoll_ctl(poller, operation, connection->fd, &event) < 0) fail("epoll_ctl");
}

static void end(struct connection *connection) {
  close(connection->fd);
  free(connection->left);
  free(connection);
}

static void accept_all(int listener) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) fail("calloc");
    connection->fd = fd;
    watch(connection, EPOLL_CTL_ADD, EPOLLIN);
  }
}

/** Gives how much was written, or -1 if the connection is broken. */
static ssize_t write_some(int fd, const char *data, size_t size) {
  ssize_t done = send(fd, data, size, MSG_NOSIGNAL);
  if (done < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  return done;
}

static void readable(struct connection *connection) {
  ssize_t size = recv(connection->fd, buffer, sizeof buffer, 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  ssize_t done = size <= 0 ? -1 : write_some(connection->fd, buffer, (size_t)size);
  if (done < 0) {
    end(connection);
  } else if (done < size) {
    connection->left_start = 0;
    connection->left_end = (size_t)(size - done);
    connection->left = malloc(connection->left_end);
    if (connection->left == NULL) fail("malloc");
    memcpy(connection->left, buffer + done, connection->left_end);
    watch(connection, EPOLL_CTL_MOD, EPOLLOUT);
  }
}

static void writable(struct connection *connection) {
  size_t size = connection->left_end - connection->left_start;
  ssize_t done = write_some(connection->fd, connection->left + connection->left_start, size);
  if (done < 0) {
    end(connection);
  } else if ((size_t)done == size) {
    free(connection->left);
    connection->left = NULL;
    watch(connection, EPOLL_CTL_MOD, EPOLLIN);
  } else {
    connection->left_start += (size_t)done;
  }
}

int main(int count, char **arguments) {
  if (count != 2) return fputs("usage: epoll <port>\n", stderr), 2;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
  if (listen(listener, 511) < 0) fail("listen");
  poller = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
  if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) < 0) fail("epoll");

  for (;;) {
    int ready = epoll_wait(poller, events, 256, -1);
    if (ready < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < ready; i++) {
      struct connection *connection = events[i].data.ptr;
      if (connection == NULL) accept_all(listener);
      else if (connection->left != NULL) writable(connection);
      else readable(connection);
    }
  }
}
