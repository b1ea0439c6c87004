/* The program on a port: one link per port, pinned, so that it outlives the process; replaced without a gap. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <linux/bpf.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/ebpf/instance.h"
#include "backend/ebpf/ways.h"

struct call {
	struct ls_bpf *b;
	struct ls_bpf_port *port;
	struct ls_bpf_error *error;
	enum ls_status status;
	enum ls_status (*run)(struct ls_bpf *, struct ls_bpf_port *, struct ls_bpf_error *);
};

static void *call_main(void *arg)
{
	struct call *c = arg;
	int fd = open(c->port->netns, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
		c->status = ls_bpf_fail(c->error, errno == ENOENT ? LS_E_NO_DEVICE : ls_bpf_status(errno), errno, "network namespace %s: %s", c->port->netns, strerror(errno));
	else
		c->status = c->run(c->b, c->port, c->error);
	if (fd >= 0)
		close(fd);
	return NULL;
}

/* Interfaces are named and numbered by namespace: a thread of its own goes there. */
static enum ls_status in_namespace(struct ls_bpf *b, struct ls_bpf_port *port, struct ls_bpf_error *error,
				   enum ls_status (*run)(struct ls_bpf *, struct ls_bpf_port *, struct ls_bpf_error *))
{
	struct call c = { .b = b, .port = port, .error = error, .run = run };
	pthread_t thread;

	if (!port->netns[0])
		return run(b, port, error);
	if (pthread_create(&thread, NULL, call_main, &c) != 0)
		return ls_bpf_fail(error, LS_E_NOMEM, EAGAIN, "no thread for network namespace %s", port->netns);
	pthread_join(thread, NULL);
	return c.status;
}

static enum ls_status look(struct ls_bpf_port *port, struct ls_bpf_error *error)
{
	struct ethtool_drvinfo driver = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq r = { 0 };
	int fd;

	port->ifindex = if_nametoindex(port->interface);
	if (!port->ifindex)
		return ls_bpf_fail(error, LS_E_NO_DEVICE, errno, "interface %s: %s", port->interface, strerror(errno));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(r.ifr_name, port->interface, sizeof(port->interface));
	if (fd >= 0 && ioctl(fd, SIOCGIFHWADDR, &r) == 0)
		memcpy(port->mac, r.ifr_hwaddr.sa_data, 6);
	if (fd >= 0 && ioctl(fd, SIOCGIFMTU, &r) == 0)
		port->mtu = (u16)r.ifr_mtu;
	r.ifr_data = (char *)&driver;
	if (fd >= 0 && ioctl(fd, SIOCETHTOOL, &r) == 0)
		port->redirect = strcmp(driver.driver, "veth") == 0;
	if (fd >= 0)
		close(fd);
	return LS_OK;
}

/* Who has the interface: the name of the program, for the error. */
static void occupant(u32 ifindex, char *out, size_t bytes)
{
	struct bpf_prog_info info = { 0 };
	u32 length = sizeof(info), id = 0;
	int fd = bpf_xdp_query_id((int)ifindex, 0, &id) == 0 && id ? bpf_prog_get_fd_by_id(id) : -1;

	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &length) == 0)
		snprintf(out, bytes, "program %s (id %u)", info.name, id);
	else
		snprintf(out, bytes, "another program");
	if (fd >= 0)
		close(fd);
}

static int link_new(const struct ls_bpf *b, struct ls_bpf_port *port)
{
	LIBBPF_OPTS(bpf_link_create_opts, driver, .flags = XDP_FLAGS_DRV_MODE);
	LIBBPF_OPTS(bpf_link_create_opts, generic, .flags = XDP_FLAGS_SKB_MODE);
	int fd = bpf_link_create(b->program, (int)port->ifindex, BPF_XDP, &driver);

	port->mode = LS_BPF_DRIVER;
	if (fd < 0 && errno == EOPNOTSUPP && port->generic) {
		port->mode = LS_BPF_GENERIC;
		fd = bpf_link_create(b->program, (int)port->ifindex, BPF_XDP, &generic);
	}
	return fd < 0 ? -errno : fd;
}

/* A link is pinned as link_DEVICE_PORT (and the other way out_DEVICE_PORT): who comes after this process learns from it which id the port had. bpffs keeps
 * dots for itself. */
static void link_name(char *out, const char *prefix, const char *port, u32 device)
{
	snprintf(out, LS_PIN_NAME, "%s%u_%s", prefix, device, port);
	for (; *out; out++)
		if (*out == '.')
			*out = '~';
}

static bool link_parse(const char *pin, struct ls_bpf_link *out)
{
	int at = 0;

	if (sscanf(pin, LS_LINK_PREFIX "%u_%n", &out->device, &at) != 1 || !at || strlen(pin + at) >= sizeof(out->name))
		return false;
	strcpy(out->name, pin + at);
	for (char *c = out->name; *c; c++)
		if (*c == '~')
			*c = '.';
	return true;
}

struct wanted {
	const char *port;
	char pin[LS_PIN_NAME];
};

static void find_link(struct ls_bpf *b, const char *pin, void *arg)
{
	struct wanted *w = arg;
	struct ls_bpf_link l;

	(void)b;
	if (link_parse(pin, &l) && strcmp(l.name, w->port) == 0)
		snprintf(w->pin, sizeof(w->pin), "%s", pin);
}

/* The pin of this port's link, or an empty text. */
static struct wanted link_of(const struct ls_bpf *b, const char *port)
{
	struct wanted w = { .port = port };

	ls_pins_each(b, LS_LINK_PREFIX, find_link, &w);
	return w;
}

struct list {
	struct ls_bpf_link *out;
	u32 max, n;
};

static void list_link(struct ls_bpf *b, const char *pin, void *arg)
{
	struct list *l = arg;

	(void)b;
	if (l->n < l->max && link_parse(pin, &l->out[l->n]))
		l->n++;
}

u32 ls_bpf_links(const struct ls_bpf *b, struct ls_bpf_link *out, u32 max)
{
	struct list l = { .out = out, .max = max };

	ls_pins_each(b, LS_LINK_PREFIX, list_link, &l);
	return l.n;
}

/* tcx (Linux 6.6), which Debian's libbpf does not know. Other programs there go on running: ours says "next". */
static int out_link_new(const struct ls_bpf *b, u32 ifindex)
{
	struct {
		u32 program, ifindex, attach_type, flags;
		u64 tcx[14];
	} attr = { .program = (u32)b->out, .ifindex = ifindex, .attach_type = 47 /* BPF_TCX_EGRESS */ };
	int fd = (int)syscall(__NR_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : fd;
}

/* The program on the way out, which records what the host opens. False: this kernel has no place for it. */
static bool record(struct ls_bpf *b, const struct ls_bpf_port *port)
{
	char name[LS_PIN_NAME], path[LS_BPF_PATH];
	struct bpf_link_info info = { 0 };
	u32 length = sizeof(info);
	bool done;
	int fd;

	link_name(name, LS_OUT_PREFIX, port->name, port->device);
	ls_bpf_path(b, path, name);
	fd = ls_pin_get(b, name);
	if (fd >= 0) {
		done = bpf_obj_get_info_by_fd(fd, &info, &length) == 0 && info.xdp.ifindex == port->ifindex && bpf_link_update(fd, b->out, NULL) == 0;
		close(fd);
		if (done)
			return true;
		unlink(path); /* of an interface that is gone, or of another one now */
	}
	fd = out_link_new(b, port->ifindex);
	done = fd >= 0 && ls_pin_put(b, name, fd) == 0;
	if (fd >= 0)
		close(fd);
	return done;
}

/* Which device frames from there are, and how frames leave by it. */
static enum ls_status ways(struct ls_bpf *b, struct ls_bpf_port *port, struct ls_bpf_error *error)
{
	enum ls_status status = look(port, error);
	struct ls_way_in in = { .ifindex = port->ifindex, .device = port->device, .redirect = port->redirect }, there;
	u32 slot = port->ifindex & (LS_WAYS_IN - 1);

	if (status != LS_OK)
		return status;
	if (bpf_map_lookup_elem(b->ways_in, &slot, &there) == 0 && there.ifindex && there.ifindex != in.ifindex)
		return ls_bpf_fail(error, LS_E_UNSUPPORTED, 0, "interface %s has number %u, which cannot be told from number %u of another port: numbers of one agent's ports must differ in their last %u bits",
				   port->interface, port->ifindex, there.ifindex, (u32)__builtin_ctz(LS_WAYS_IN));
	if (bpf_map_update_elem(b->ways_in, &slot, &in, 0) != 0 || bpf_map_update_elem(b->ways_out, &port->device, &port->ifindex, 0) != 0)
		return ls_bpf_fail(error, ls_bpf_status(errno), errno, "interface %s cannot be entered into the maps: %s", port->interface, strerror(errno));
	port->recorded = record(b, port);
	return LS_OK;
}

/* No frame leaves by the device any more, and none is from it. */
static void no_ways(const struct ls_bpf *b, u32 device)
{
	const struct ls_way_in none = { 0 };

	for (u32 slot = 0; slot < LS_WAYS_IN; slot++) { /* the number of an interface that is gone is not known */
		struct ls_way_in way = { 0 };

		if (bpf_map_lookup_elem(b->ways_in, &slot, &way) == 0 && way.device == device)
			bpf_map_update_elem(b->ways_in, &slot, &none, 0);
	}
	bpf_map_delete_elem(b->ways_out, &device);
}

/* The link goes before the ways: a frame on its way out of a port that is being taken away is dropped and counted, not sent elsewhere. */
static enum ls_status detach(struct ls_bpf *b, const char *pin)
{
	char path[LS_BPF_PATH], out[LS_PIN_NAME];
	struct ls_bpf_link link;
	int fd = ls_pin_get(b, pin);

	if (fd < 0)
		return fd == -ENOENT ? LS_E_NOT_FOUND : ls_bpf_status(-fd);
	ls_bpf_path(b, path, pin);
	unlink(path);
	close(fd); /* the last one: detached */
	if (!link_parse(pin, &link))
		return LS_OK;
	link_name(out, LS_OUT_PREFIX, link.name, link.device);
	ls_bpf_path(b, path, out);
	unlink(path);
	if (b->object)
		no_ways(b, link.device);
	return LS_OK;
}

/* The way in and the way out are known before the program runs there. */
static enum ls_status attach(struct ls_bpf *b, struct ls_bpf_port *port, struct ls_bpf_error *error)
{
	char name[LS_PIN_NAME], path[LS_BPF_PATH], who[64];
	struct wanted old = link_of(b, port->name);
	enum ls_status status = look(port, error);
	struct bpf_link_info info = { 0 };
	u32 length = sizeof(info);
	int fd = old.pin[0] ? ls_pin_get(b, old.pin) : -ENOENT, failed;

	if (fd >= 0 && status == LS_OK && (bpf_obj_get_info_by_fd(fd, &info, &length) != 0 || info.xdp.ifindex != port->ifindex)) {
		close(fd);
		fd = -ENOENT;
		detach(b, old.pin); /* of an interface that is gone, or of another one now */
	}
	if (status == LS_OK)
		status = ways(b, port, error);
	if (status != LS_OK) {
		if (fd >= 0)
			close(fd);
		return status;
	}
	link_name(name, LS_LINK_PREFIX, port->name, port->device);
	if (fd >= 0) {
		LIBBPF_OPTS(bpf_xdp_query_opts, now);

		failed = bpf_link_update(fd, b->program, NULL) ? -errno : strcmp(old.pin, name) ? ls_pin_put(b, name, fd) : 0;

		close(fd);
		if (failed)
			return ls_bpf_fail(error, ls_bpf_status(-failed), -failed, "the program of %s cannot be replaced: %s", port->interface, strerror(-failed));
		if (strcmp(old.pin, name)) {
			ls_bpf_path(b, path, old.pin);
			unlink(path);
		}
		if (bpf_xdp_query((int)port->ifindex, 0, &now) == 0 && now.attach_mode == XDP_ATTACHED_SKB)
			port->mode = LS_BPF_GENERIC;
		return LS_OK;
	}
	fd = link_new(b, port);
	if (fd == -EBUSY || fd == -EEXIST) {
		occupant(port->ifindex, who, sizeof(who));
		return ls_bpf_fail(error, LS_E_BUSY, -fd, "interface %s has %s already: detach it first (ip link set dev %s xdp off)", port->interface, who, port->interface);
	}
	if (fd == -EOPNOTSUPP)
		return ls_bpf_fail(error, LS_E_UNSUPPORTED, -fd, "the driver of %s does not run XDP programs", port->interface);
	if (fd < 0)
		return ls_bpf_fail(error, ls_bpf_status(-fd), -fd, "the program cannot be put on %s: %s", port->interface, strerror(-fd));
	failed = -ls_pin_put(b, name, fd);
	close(fd);
	return failed ? ls_bpf_fail(error, ls_bpf_status(failed), failed, "%s/%s cannot be pinned: %s", b->folder, name, strerror(failed)) : LS_OK;
}

static enum ls_status checked(struct ls_bpf *b, struct ls_bpf_port *port, struct ls_bpf_error *error,
			      enum ls_status (*run)(struct ls_bpf *, struct ls_bpf_port *, struct ls_bpf_error *))
{
	if (!b->object || !b->published)
		return ls_bpf_fail(error, LS_E_INVALID, 0, "port %s: load and publish first", port->name);
	if (!port->device || port->device >= LS_BPF_PORTS_MAX || !port->name[0] || strchr(port->name, '/'))
		return ls_bpf_fail(error, LS_E_INVALID, 0, "port %s: device %u of 1 to %u", port->name, port->device, LS_BPF_PORTS_MAX - 1);
	return in_namespace(b, port, error, run);
}

enum ls_status ls_bpf_ways(struct ls_bpf *b, struct ls_bpf_port *port, struct ls_bpf_error *error) { return checked(b, port, error, ways); }
enum ls_status ls_bpf_attach(struct ls_bpf *b, struct ls_bpf_port *port, struct ls_bpf_error *error) { return checked(b, port, error, attach); }

enum ls_status ls_bpf_detach(struct ls_bpf *b, const char *name, struct ls_bpf_error *error)
{
	struct wanted w = link_of(b, name);
	enum ls_status status = w.pin[0] ? detach(b, w.pin) : LS_E_NOT_FOUND;

	return status == LS_OK ? LS_OK : ls_bpf_fail(error, status, errno, "port %s has no program of ours", name);
}

struct keep {
	const char (*names)[LS_BPF_NAME];
	u32 n, gone;
};

static void detach_other(struct ls_bpf *b, const char *pin, void *arg)
{
	struct keep *k = arg;
	struct ls_bpf_link l;

	for (u32 i = 0; link_parse(pin, &l) && i < k->n; i++)
		if (strcmp(l.name, k->names[i]) == 0)
			return;
	k->gone += detach(b, pin) == LS_OK;
}

u32 ls_bpf_detach_others(struct ls_bpf *b, const char names[][LS_BPF_NAME], u32 n)
{
	struct keep k = { .names = names, .n = n };

	ls_pins_each(b, LS_LINK_PREFIX, detach_other, &k);
	return k.gone;
}
