/// kv/files.hpp: what a store in a directory has beside its contents. Part of kv.hpp; include that.

#ifndef KV_FILES_HPP
#define KV_FILES_HPP

#include <chrono>
#include <cstdint>
#include <string>

#include "result.hpp"
#include "value.hpp"

namespace kv {

/// What a snapshot came to.
struct Snapshot {
    std::uint64_t entries;               ///< in it
    std::uint64_t bytes;                 ///< of the file
    std::uint64_t revision;              ///< the last one that it shows
    TimePoint created_at;                ///< the moment that it shows
    std::chrono::duration<double> took;  ///< how long it took
    std::string path;                    ///< the file
};

namespace detail {

/// A text that the library gave: freed also where copying it throws.
struct Text {
    char* text = nullptr;
    Text() noexcept = default;
    Text(const Text&) = delete;
    Text& operator=(const Text&) = delete;
    ~Text() { kv_string_free(text); }
};

/// To a file, or for null into the store's own directory.
inline Result<Snapshot> snapshot(kv_store_t* store, const char* path) {
    kv_snapshot_info_t info = KV_SNAPSHOT_INFO_INIT;
    Text written;
    kv_error_t* error = nullptr;
    const kv_status_t status = kv_snapshot(store, path, &info, &written.text, &error);
    if (status != KV_OK) return Failure(status, error);
    return Snapshot{info.entries, info.bytes, info.revision, TimePoint(std::chrono::milliseconds(info.created_at_ms)),
                    std::chrono::duration<double>(info.seconds), std::string(written.text)};
}

}  // namespace detail

}  // namespace kv

#endif  // KV_FILES_HPP
