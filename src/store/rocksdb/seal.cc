/* seal: RocksDB's word that it begins a new log. The one file in C++: the C interface of this version has no listeners.
 *
 * A rocksdb_options_t of the C interface is a rocksdb::Options and nothing else (db/c.cc), in every version so far. */
#include <memory>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>

struct rocksdb_options_t;
extern "C" void rocks_on_seal(rocksdb_options_t *o, void (*fn)(void *ctx), void *ctx);

namespace {
class SealListener final : public rocksdb::EventListener {
public:
    SealListener(void (*fn)(void *), void *ctx) : fn_(fn), ctx_(ctx) {}
    void OnMemTableSealed(const rocksdb::MemTableInfo &) override { fn_(ctx_); }

private:
    void (*fn_)(void *);
    void *ctx_;
};
} // namespace

void rocks_on_seal(rocksdb_options_t *o, void (*fn)(void *ctx), void *ctx)
{
    reinterpret_cast<rocksdb::Options *>(o)->listeners.push_back(std::make_shared<SealListener>(fn, ctx));
}
