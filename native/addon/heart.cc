/* class Heart: leases and heartbeats of a table that no keeper has (native/heart), and the connection to any heart. */
#include "addon/heart.h"
#include "addon/handle.h"

#include <cstddef>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "heart/api.h"

namespace lockstep {

class Heart : public Napi::ObjectWrap<Heart> {
public:
	explicit Heart(const Napi::CallbackInfo &info);
	~Heart() override { shut(); }
	Napi::Value close(const Napi::CallbackInfo &);

private:
	void shut()
	{
		if (!heart_)
			return;
		ls_heart_stop(heart_);
		heart_ = nullptr;
		table_.reset();
		--*busy_;
	}

	ls_heart *heart_ = nullptr;
	TableRef table_;
	std::shared_ptr<int> busy_;
};

/* new Heart(table, name) */
Heart::Heart(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Heart>(info)
{
	Table *table = Table::of(info, 0);
	std::string name = arg_string(info, 1, "name", LS_HEART_NAME_MAX);
	ls_heart_words words = {};
	int err_no = 0;

	ls_heart_words_of(table->use(), &words);
	ls_status status = ls_heart_start(name.c_str(), &words, &heart_, &err_no);
	if (status != LS_OK)
		throw status_error(info.Env(), status, "heart " + name, err_no);
	table_ = table->ref();
	busy_ = table->busy;
	++*busy_;
}

Napi::Value Heart::close(const Napi::CallbackInfo &info)
{
	shut();
	return info.Env().Undefined();
}

/* connectHeart(name) -> descriptor, or -1: nobody listens, or somebody else does: an abstract name is anybody's, and the heart is told a key. */
static Napi::Value connect_heart(const Napi::CallbackInfo &info)
{
	std::string name = LS_HEART_SOCKET + arg_string(info, 0, "name", LS_HEART_NAME_MAX);
	struct sockaddr_un a = {};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sun_family = AF_UNIX;
	memcpy(a.sun_path + 1, name.data(), name.size());
	struct ucred owner = {};
	socklen_t length = sizeof(owner);

	if (fd >= 0 && (connect(fd, reinterpret_cast<struct sockaddr *>(&a), static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + 1 + name.size())) != 0 ||
			getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &owner, &length) != 0 || owner.uid != geteuid())) {
		close(fd);
		fd = -1;
	}
	return Napi::Number::New(info.Env(), fd);
}

void InitHeart(Napi::Env env, Napi::Object exports)
{
	exports.Set("Heart", Napi::ObjectWrap<Heart>::DefineClass(env, "Heart", { Napi::ObjectWrap<Heart>::InstanceMethod<&Heart::close>("close") }));
	exports.Set("connectHeart", Napi::Function::New(env, connect_heart, "connectHeart"));
}

} // namespace lockstep
