// The traditional way: an echo server with a thread for each connection, which reads and writes and waits in both. Chunks
// go back as they come.
//
//   threads <port of 127.0.0.1>
//
// Threads are as they come: with a stack of 8 MB, of which the system gives what is touched.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(const char *what, int error) {
  fprintf(stderr, "%s: %s\n", what, strerror(error));
  exit(1);
}

static int send_all(int fd, const char *data, size_t size) {
  while (size > 0) {
    ssize_t done = send(fd, data, size, MSG_NOSIGNAL);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return -1;
    data += done;
    size -= (size_t)done;
  }
  return 0;
}

static void *serve(void *argument) {
  int fd = (int)(intptr_t)argument;
  char buffer[4096];
  for (;;) {
    ssize_t size = recv(fd, buffer, sizeof buffer, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0 || send_all(fd, buffer, (size_t)size) < 0) break;
  }
  close(fd);
  return NULL;
}

int main(int count, char **arguments) {
  if (count != 2) return fputs("usage: threads <port>\n", stderr), 2;
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) fail("bind", errno);
  if (listen(listener, 511) < 0) fail("listen", errno);

  pthread_attr_t alone;
  pthread_attr_init(&alone);
  pthread_attr_setdetachstate(&alone, PTHREAD_CREATE_DETACHED);
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (fd < 0) fail("accept", errno);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    pthread_t thread;
    int error = pthread_create(&thread, &alone, serve, (void *)(intptr_t)fd);
    if (error != 0) fail("make a thread", error);
  }
}
