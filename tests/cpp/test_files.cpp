// A store in a directory, from C++: it is there again, snapshots and restores, says what is wrong.

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "check.hpp"

using namespace std::chrono_literals;
using namespace std::string_view_literals;
namespace fs = std::filesystem;

namespace {

/// A directory of its own for a test, gone with it.
class Folder {
  public:
    Folder() {
        std::string name = "files_cpp_XXXXXX";
        if (mkdtemp(name.data()) == nullptr) std::abort();
        path_ = name;
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { fs::remove_all(path_); }

    std::string operator/(const char* name) const { return (path_ / name).string(); }
    std::string data() const { return *this / "data"; }

  private:
    fs::path path_;
};

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace

TEST(what_was_written_is_there_again) {
    const Folder folder;
    {
        kv::Store store = kv::Store::open(folder.data(), kv::Options().set("sync", "always"));
        store.set("a", "1");
        store.set("b", "2", 10min);
        store.set("c", "3");
        store.del("c");
        CHECK(has(store.recovery(), "\"records\":0"));
    }
    kv::Store store = kv::Store::open(folder.data());
    CHECK(store.get("a") == "1"sv);
    CHECK(store.ttl("b") <= std::optional<std::chrono::milliseconds>(10min));
    CHECK(!store.exists("c"));
    store.sync();
    store.close();
    CHECK_THROWS(kv::Status::invalid, store.recovery());
}

TEST(a_directory_has_one_opener) {
    const Folder folder;
    kv::Store first = kv::Store::open(folder.data());
    CHECK_THROWS(kv::Status::locked, kv::Store::open(folder.data()));
    first.close();
    kv::Store::open(folder.data()).close();
}

TEST(a_missing_directory_may_be_an_error) {
    const Folder folder;
    const auto opened = kv::Store::open(std::nothrow, folder.data(), kv::Options().set("create", false));
    CHECK(opened.status() == kv::Status::invalid);
    CHECK(has(opened.message(), "create"));
    CHECK(!fs::exists(folder.data()));
}

TEST(a_snapshot_comes_back) {
    const Folder folder;
    kv::Store store = kv::Store::open(folder.data());
    store.set("a", "1");
    store.set("b", "2");
    const kv::Snapshot own = store.snapshot();
    CHECK(own.entries == 2 && own.bytes > 0 && own.revision >= 2 && own.took.count() >= 0);
    CHECK(own.created_at > kv::TimePoint() && fs::file_size(own.path) == own.bytes);

    store.set("a", "changed");
    store.set("c", "3");
    const kv::Snapshot copy = store.snapshot(folder / "copy.kvs");
    CHECK(copy.entries == 3 && copy.path == folder / "copy.kvs");
    store.restore(own.path);
    CHECK(store.get("a") == "1"sv && !store.exists("c"));

    kv::Store memory = kv::Store::memory();
    memory.restore(copy.path);
    CHECK(memory.get("a") == "changed"sv && memory.len() == 3);
    memory.sync();
    CHECK_THROWS(kv::Status::unsupported, memory.snapshot());
    CHECK(has(memory.recovery(), "\"last_revision\":0"));
}

TEST(what_cannot_be_restored_changes_nothing) {
    const Folder folder;
    const std::string file = folder / "file.kvs";
    kv::Store store = kv::Store::memory(kv::Options().set("max_entries", 1));
    store.set("a", "1");
    store.snapshot(file);
    std::string bytes;
    {
        std::ifstream in(file, std::ios::binary);
        bytes.assign(std::istreambuf_iterator<char>(in), {});
    }
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    std::ofstream(file, std::ios::binary) << bytes;
    const kv::Result<void> restored = store.restore(std::nothrow, file);
    CHECK(restored.status() == kv::Status::corrupt);
    CHECK(has(restored.message(), "file.kvs"));
    CHECK_THROWS(kv::Status::io, store.restore(folder / "none"));
    CHECK_THROWS(kv::Status::invalid, store.restore("a\0b"sv));
    CHECK_THROWS(kv::Status::invalid, store.snapshot("a\0b"sv));

    kv::Store larger = kv::Store::memory();
    larger.set("x", "");
    larger.set("y", "");
    larger.snapshot(file);
    CHECK_THROWS(kv::Status::full, store.restore(file));
    CHECK(store.get("a") == "1"sv && store.len() == 1);
}

TEST(damage_is_described_and_what_is_left_is_saved) {
    const Folder folder;
    {
        kv::Store store = kv::Store::open(folder.data());
        for (int n = 0; n < 100; ++n) store.set("key " + std::to_string(n), std::string(500, 'v'));
    }
    CHECK(has(kv::verify(folder.data()), "{\"sound\":true,"));
    fs::path segment;
    for (const auto& file : fs::directory_iterator(folder.data())) {
        if (file.path().extension() == ".log" && file.path() > segment) segment = file.path();
    }
    {
        std::fstream log(segment, std::ios::binary | std::ios::in | std::ios::out);
        const auto middle = static_cast<std::streamoff>(fs::file_size(segment) / 2);
        const char byte = static_cast<char>(log.seekg(middle).get() ^ 1);
        log.seekp(middle).put(byte);
    }
    CHECK_THROWS(kv::Status::corrupt, kv::Store::open(folder.data()));
    const std::string report = kv::verify(folder.data());
    CHECK(has(report, "{\"sound\":false,") && has(report, segment.filename().string()));
    CHECK(has(kv::salvage(folder.data(), folder / "new"), "\"may_be_back\":true"));
    kv::Store saved = kv::Store::open(folder / "new");
    CHECK(saved.len() >= 90 && saved.len() < 100 && saved.exists("key 99"));
    CHECK(kv::verify(std::nothrow, folder / "new").status() == kv::Status::locked);
    CHECK(kv::verify(std::nothrow, folder / "none").status() == kv::Status::invalid);
    CHECK(kv::salvage(std::nothrow, folder.data(), folder / "new").status() == kv::Status::invalid);
    CHECK_THROWS(kv::Status::invalid, kv::verify("a\0b"sv));
}

TEST(opening_tells_how_far_it_is) {
    const Folder folder;
    {
        kv::Store store = kv::Store::open(folder.data());
        store.set("a", "1");
        store.snapshot();
        store.set("b", "2");
    }
    std::vector<kv::Progress> told;
    kv::Options options;
    options.on_progress([&](const kv::Progress& progress) { told.push_back(progress); });
    CHECK(kv::Store::open(folder.data(), options).len() == 2);
    CHECK(told.size() >= 4 && told.front().phase == kv::Phase::snapshot && told.front().done_bytes == 0);
    CHECK(told.back().phase == kv::Phase::log && told.back().done_bytes == told.back().total_bytes);
    options.on_progress([](const kv::Progress&) { throw 1; });
    CHECK(kv::Store::open(folder.data(), options).len() == 2);
}

TEST(a_closed_store_has_no_files) {
    kv::Store store = kv::Store::memory();
    store.shutdown();
    CHECK(store.sync(std::nothrow).status() == kv::Status::closed);
    CHECK(store.snapshot(std::nothrow).status() == kv::Status::closed);
    CHECK(store.restore(std::nothrow, "file").status() == kv::Status::closed);
    CHECK(store.recovery(std::nothrow).ok());
}

CHECK_MAIN
