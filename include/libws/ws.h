/*
 * libws/ws.h: all of libws.  The order is the layering of the library: a header uses only
 * those above it.
 */
#ifndef LIBWS_WS_H
#define LIBWS_WS_H

#include <libws/base.h>
#include <libws/message.h>
#include <libws/config.h>
#include <libws/tls.h>
#include <libws/request.h>
#include <libws/engine.h>
#include <libws/loop.h>
#include <libws/conn.h>
#include <libws/server.h>
#include <libws/router.h>
#include <libws/files.h>
#include <libws/pool.h>
#include <libws/handover.h>
#include <libws/metrics.h>
#include <libws/hub.h>
#include <libws/client.h>
#include <libws/sync.h>

#endif /* LIBWS_WS_H */
