// The test harness: TEST registers a function, CHECK records a failure and goes on, check_main runs them all.
// Small enough to read, so that the tests depend on nothing and also compile without exceptions and RTTI.

#ifndef KV_TESTS_CHECK_HPP
#define KV_TESTS_CHECK_HPP

#include <atomic>
#include <cstdio>
#include <exception>
#include <vector>

#include "kv.hpp"

namespace check {

struct Test {
    const char* name;
    void (*run)();
};

inline std::vector<Test>& tests() {
    static std::vector<Test> all;
    return all;
}

/// Threads may fail too.
inline std::atomic<int>& failures() {
    static std::atomic<int> count{0};
    return count;
}

struct Register {
    Register(const char* name, void (*run)()) { tests().push_back({name, run}); }
};

inline void fail(const char* file, int line, const char* what) {
    ++failures();
    std::fprintf(stderr, "%s:%d: %s\n", file, line, what);
}

inline int run_all() {
    for (const Test& test : tests()) {
        std::printf("  %s\n", test.name);
        std::fflush(stdout);
#if KV_HPP_EXCEPTIONS
        try {
            test.run();
        } catch (const std::exception& error) {
            fail(test.name, 0, error.what());
        }
#else
        test.run();
#endif
    }
    std::printf("%zu tests, %d failures\n", tests().size(), failures().load());
    return tests().empty() || failures().load() != 0 ? 1 : 0;
}

}  // namespace check

#define TEST(name)                                              \
    static void test_##name();                                  \
    static const check::Register register_##name(#name, test_##name); \
    static void test_##name()

#define CHECK(condition)                                              \
    do {                                                              \
        if (!(condition)) check::fail(__FILE__, __LINE__, #condition); \
    } while (false)

#if KV_HPP_EXCEPTIONS
/// The call throws kv::Error with that status, and a message.
#define CHECK_THROWS(expected, call)                                                          \
    do {                                                                                      \
        try {                                                                                 \
            static_cast<void>(call);                                                          \
            check::fail(__FILE__, __LINE__, #call " did not throw");                          \
        } catch (const kv::Error& error) {                                                    \
            if (error.status() != (expected)) check::fail(__FILE__, __LINE__, error.what());  \
            if (error.what()[0] == '\0') check::fail(__FILE__, __LINE__, #call ": no message"); \
        }                                                                                     \
    } while (false)
#endif

#define CHECK_MAIN \
    int main() { return check::run_all(); }

#endif
