/* The two objects JavaScript holds. Closing is explicit and idempotent; use after close is an error, never a crash.
 *
 * The mapping is shared: by every Table that attached to it, by its dataplane and by work in flight. The last to let go unmaps it, so the order in
 * which a dying environment takes its objects down does not matter.
 */
#ifndef LOCKSTEP_ADDON_HANDLE_H
#define LOCKSTEP_ADDON_HANDLE_H

#include <functional>
#include <memory>

#include "addon/convert.h"

namespace lockstep {

using TableRef = std::shared_ptr<ls_table>;

class Table : public Napi::ObjectWrap<Table> {
public:
	static void Init(Napi::Env env, Napi::Object exports);
	explicit Table(const Napi::CallbackInfo &info);
	/* The Table in argument `i`; a TypeError for anything else. */
	static Table *of(const Napi::CallbackInfo &info, size_t i);
	ls_table *use() const { return ref().get(); }
	const TableRef &ref() const; /* throws when closed */
	/* Work in flight and dataplanes on this object: it is not closed under them. Touched by the thread of its environment alone. */
	const std::shared_ptr<int> busy = std::make_shared<int>(0);

private:
	Napi::Value info(const Napi::CallbackInfo &);
	Napi::Value close(const Napi::CallbackInfo &);
	Napi::Value install(const Napi::CallbackInfo &);
	Napi::Value get(const Napi::CallbackInfo &);
	Napi::Value drain(const Napi::CallbackInfo &);
	Napi::Value drain_logs(const Napi::CallbackInfo &);
	Napi::Value feed(const Napi::CallbackInfo &);
	Napi::Value delete_ids(const Napi::CallbackInfo &);
	Napi::Value delete_filter(const Napi::CallbackInfo &);
	Napi::Value delete_reals(const Napi::CallbackInfo &);
	Napi::Value scan_columns(const Napi::CallbackInfo &);
	Napi::Value scan_records(const Napi::CallbackInfo &);
	Napi::Value select_records(const Napi::CallbackInfo &);
	Napi::Value record_columns(const Napi::CallbackInfo &);
	Napi::Value count(const Napi::CallbackInfo &);
	Napi::Value verify(const Napi::CallbackInfo &);
	Napi::Value bulk_begin(const Napi::CallbackInfo &);
	Napi::Value reconcile(const Napi::CallbackInfo &);
	Napi::Value reevaluate(const Napi::CallbackInfo &);
	Napi::Value write_config(const Napi::CallbackInfo &);
	Napi::Value read_config(const Napi::CallbackInfo &);
	Napi::Value write_arena(const Napi::CallbackInfo &);
	Napi::Value read_arena(const Napi::CallbackInfo &);
	Napi::Value set_role(const Napi::CallbackInfo &);
	Napi::Value groups(const Napi::CallbackInfo &);
	Napi::Value grace(const Napi::CallbackInfo &);
	Napi::Value counters(const Napi::CallbackInfo &);
	Napi::Value add_counters(const Napi::CallbackInfo &);
	Napi::Value rates(const Napi::CallbackInfo &);
	Napi::Value nat_usage(const Napi::CallbackInfo &);
	Napi::Value session_tally(const Napi::CallbackInfo &);
	Napi::Value rings(const Napi::CallbackInfo &);
	Napi::Value programs(const Napi::CallbackInfo &);
	Napi::Value host_flows(const Napi::CallbackInfo &);
	Napi::Value programmed(const Napi::CallbackInfo &);
	Napi::Value open(const Napi::CallbackInfo &);
	Napi::Value touch(const Napi::CallbackInfo &);
	Napi::Value install_own(const Napi::CallbackInfo &, u32 flags);
	Napi::Value adopt_workers(const Napi::CallbackInfo &);
	Napi::Value detach_workers(const Napi::CallbackInfo &);
	Napi::Value start_freer(const Napi::CallbackInfo &);
	Napi::Value stop_freer(const Napi::CallbackInfo &);
	Napi::Value work(const Napi::CallbackInfo &info, std::function<void(ls_table *)> run, std::function<Napi::Value(Napi::Env)> done);

	TableRef table_;
	u32 id_ = 0;
};

class Userspace : public Napi::ObjectWrap<Userspace> {
public:
	static void Init(Napi::Env env, Napi::Object exports);
	explicit Userspace(const Napi::CallbackInfo &info);
	~Userspace() override;

private:
	Napi::Value add_port(const Napi::CallbackInfo &);
	Napi::Value enable_port(const Napi::CallbackInfo &);
	Napi::Value disable_port(const Napi::CallbackInfo &);
	Napi::Value park_port(const Napi::CallbackInfo &);
	Napi::Value unpark_port(const Napi::CallbackInfo &);
	Napi::Value remove_port(const Napi::CallbackInfo &);
	Napi::Value start_links(const Napi::CallbackInfo &);
	Napi::Value start(const Napi::CallbackInfo &);
	Napi::Value stop(const Napi::CallbackInfo &);
	Napi::Value close(const Napi::CallbackInfo &);
	Napi::Value ports(const Napi::CallbackInfo &);
	Napi::Value links(const Napi::CallbackInfo &);
	Napi::Value neighbours(const Napi::CallbackInfo &);
	Napi::Value set_routes(const Napi::CallbackInfo &);
	Napi::Value routes_left_out(const Napi::CallbackInfo &);
	Napi::Value set_neighbours(const Napi::CallbackInfo &);
	Napi::Value resolved(const Napi::CallbackInfo &);
	Napi::Value unresolved(const Napi::CallbackInfo &);
	Napi::Value announce(const Napi::CallbackInfo &);
	ls_us *use() const;
	void drop();

	ls_us *us_ = nullptr;
	TableRef table_;
	std::shared_ptr<int> busy_; /* of the Table that was passed */
};

} // namespace lockstep

#endif
