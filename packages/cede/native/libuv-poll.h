/*
 * The few functions of libuv that the shim uses, as its stable interface (version 1) has them. Declared here, so that
 * the shim is built from the headers of Node-API alone; Node exports them from its executable.
 */
#ifndef CEDE_LIBUV_POLL_H
#define CEDE_LIBUV_POLL_H

#include <stddef.h>

struct uv_loop_s;
typedef struct uv_poll_s uv_poll_t;
typedef struct uv_handle_s uv_handle_t;
typedef void (*uv_poll_cb)(uv_poll_t *handle, int status, int events);
typedef void (*uv_close_cb)(uv_handle_t *handle);

enum { UV_HANDLE_TYPE_POLL = 8, UV_EVENT_READABLE = 1 };

size_t uv_handle_size(int type);
void uv_handle_set_data(uv_handle_t *handle, void *data);
void *uv_handle_get_data(const uv_handle_t *handle);
int uv_poll_init(struct uv_loop_s *loop, uv_poll_t *handle, int fd);
int uv_poll_start(uv_poll_t *handle, int events, uv_poll_cb callback);
int uv_poll_stop(uv_poll_t *handle);
void uv_close(uv_handle_t *handle, uv_close_cb callback);
void uv_ref(uv_handle_t *handle);
void uv_unref(uv_handle_t *handle);

#endif
