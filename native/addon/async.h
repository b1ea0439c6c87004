/* Long native work on the thread pool, as a promise. The table stays referenced until the work is done. */
#ifndef LOCKSTEP_ADDON_ASYNC_H
#define LOCKSTEP_ADDON_ASYNC_H

#include <functional>

#include "addon/convert.h"

namespace lockstep {

class Work : public Napi::AsyncWorker {
public:
	using Run = std::function<void()>;
	using Done = std::function<Napi::Value(Napi::Env)>;

	/* `keep` must outlive the work: `run` uses what it owns. `over` runs on the JavaScript thread however the work ended. */
	static Napi::Promise start(Napi::Object keep, Run run, Done done, Run over = [] {})
	{
		Work *w = new Work(keep, std::move(run), std::move(done), std::move(over));
		Napi::Promise promise = w->deferred_.Promise();

		w->Queue();
		return promise;
	}

	void Execute() override { run_(); }
	void OnOK() override
	{
		Napi::HandleScope scope(Env());

		over_();
		try {
			deferred_.Resolve(done_(Env()));
		} catch (const Napi::Error &e) {
			deferred_.Reject(e.Value());
		}
	}
	void OnError(const Napi::Error &e) override
	{
		over_();
		deferred_.Reject(e.Value());
	}

private:
	Work(Napi::Object keep, Run run, Done done, Run over)
		: Napi::AsyncWorker(keep.Env()), deferred_(Napi::Promise::Deferred::New(keep.Env())), run_(std::move(run)), done_(std::move(done)),
		  over_(std::move(over))
	{
		keep_ = Napi::Persistent(keep);
	}
	Napi::Promise::Deferred deferred_;
	Napi::ObjectReference keep_;
	Run run_;
	Done done_;
	Run over_;
};

} // namespace lockstep

#endif
