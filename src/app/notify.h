/* app/notify.h - telling the service manager how we are (sd_notify's protocol, systemd's or any other's). */
#ifndef GW_APP_NOTIFY_H
#define GW_APP_NOTIFY_H

#include <stdint.h>

/* Sends `state` ("READY=1") to $NOTIFY_SOCKET; nothing happens when there is none. */
void notify(const char *state);
/* Half the watchdog's interval ($WATCHDOG_USEC) in milliseconds; 0: no watchdog wanted. */
uint64_t notify_watchdog_ms(void);

#endif
