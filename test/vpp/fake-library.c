/* A libvppapiclient without VPP, for test/unit/native/vpp-shared.test.ts: the vac_* functions over a loop of this process, which answers control_ping and
 * show_version with the bytes of a real VPP. What it does wrong is told by the environment, when it is connected: FAKE_VAC. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PING 23
#define SHOW_VERSION 101
#define VERSION_BYTES 362
#define QUEUE 4096

struct message {
	int bytes;
	unsigned char data[64];
};

static struct message queue[QUEUE];
static unsigned int head, tail;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_t loop;
static int connected, leaving, mem_inits, connects, written;
static char mode[32];
static void (*callback)(unsigned char *, int);
static void (*warn)(void *, unsigned char *, int);
static unsigned char version[VERSION_BYTES];

static int is(const char *what) { return strcmp(mode, what) == 0; }

static void put16(unsigned char *at, unsigned int v)
{
	at[0] = (unsigned char)(v >> 8);
	at[1] = (unsigned char)v;
}

static void put32(unsigned char *at, uint32_t v)
{
	v = htonl(v);
	memcpy(at, &v, 4);
}

static void say_warning(const char *text)
{
	if (warn)
		warn(NULL, (unsigned char *)text, (int)strlen(text));
}

/* Many short messages with numbers, as events. */
static void burst(int n)
{
	unsigned char event[14] = { 0 };

	put16(event, 500);
	for (int i = 0; i < n; i++) {
		put32(event + 10, (uint32_t)i);
		callback(event, sizeof(event));
	}
}

static void answer(const struct message *m)
{
	unsigned char reply[VERSION_BYTES] = { 0 };
	unsigned int id = (unsigned int)(m->data[0] << 8 | m->data[1]);

	if (id == PING) {
		put16(reply, PING + 1);
		memcpy(reply + 2, m->data + 6, 4);
		memcpy(reply + 10, m->data + 2, 4);
		put32(reply + 14, (uint32_t)getpid());
		callback(reply, 18);
	} else if (id == SHOW_VERSION) {
		memcpy(reply, version, sizeof(reply));
		put16(reply, SHOW_VERSION + 1);
		memcpy(reply + 2, m->data + 6, 4);
		callback(reply, sizeof(reply));
		if (is("burst"))
			burst(100000);
	}
}

static void *run(void *arg)
{
	for (;;) {
		struct message m;

		pthread_mutex_lock(&lock);
		while (head == tail && !leaving)
			pthread_cond_wait(&changed, &lock);
		if (leaving) {
			pthread_mutex_unlock(&lock);
			return arg;
		}
		m = queue[head++ % QUEUE];
		pthread_mutex_unlock(&lock);
		if (!is("silent") && (!is("deaf") || written <= 1))
			answer(&m);
	}
}

void vac_mem_init(size_t bytes)
{
	if (bytes == 0 || ++mem_inits > 1)
		abort();
}

void vac_set_error_handler(void (*warning)(void *, unsigned char *, int)) { warn = warning; }

#ifndef WITHOUT_VAC_GET_MSG_INDEX
int vac_get_msg_index(char *name)
{
	static const struct {
		const char *name;
		int id;
	} table[] = { { "control_ping_51077d14", PING }, { "control_ping_reply_f6b0b8ca", PING + 1 }, { "show_version_51077d14", SHOW_VERSION },
		      { "show_version_reply_c919bde1", SHOW_VERSION + 1 }, { "sw_interface_event_2d3d95a7", 501 } };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(name, table[i].name) == 0)
			return is("stranger") ? -1 : table[i].id;
	return -1;
}
#endif

/* FAKE_VAC_VERSION: the payload of a real reply, in hex. */
static void read_version(void)
{
	const char *hex = getenv("FAKE_VAC_VERSION");

	for (size_t i = 0; hex && i < sizeof(version) && hex[2 * i] && hex[2 * i + 1]; i++) {
		char byte[3] = { hex[2 * i], hex[2 * i + 1], 0 };

		version[i] = (unsigned char)strtoul(byte, NULL, 16);
	}
}

int vac_connect(char *name, char *prefix, void (*message)(unsigned char *, int), int rx_queue)
{
	snprintf(mode, sizeof(mode), "%s", getenv("FAKE_VAC") ? getenv("FAKE_VAC") : "");
	if (connected || mem_inits != 1 || !prefix || !name || rx_queue < 1)
		abort(); /* the real one keeps one connection, and needs its heap */
	if (is("refuse")) {
		say_warning("fake: nobody answers\n");
		return -1;
	}
	if (is("slow"))
		sleep(2);
	read_version();
	callback = message;
	head = tail = 0;
	leaving = written = 0;
	connected = 1;
	connects++;
	return pthread_create(&loop, NULL, run, NULL);
}

int vac_disconnect(void)
{
	if (!connected)
		return 0;
	if (is("slow-end"))
		sleep(1);
	pthread_mutex_lock(&lock);
	leaving = 1;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	pthread_join(loop, NULL);
	connected = 0;
	return 0;
}

/* As the real one it waits while the queue, of 1024, is full: whoever fills it is not heard of again. */
int vac_write(char *data, int bytes)
{
	struct message *m;

	if (!connected || bytes < 6)
		return -3;
	pthread_mutex_lock(&lock);
	if (is("fail") && written > 0) {
		pthread_mutex_unlock(&lock);
		return -1;
	}
	while (tail - head >= 1024)
		pthread_cond_wait(&changed, &lock);
	written++;
	m = &queue[tail % QUEUE];
	m->bytes = bytes;
	memcpy(m->data, data, bytes < 64 ? (size_t)bytes : 64);
	put32(m->data + 2, 0x01020304); /* the index is the library's */
	tail++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return 0;
}
