// Ranges: a scan is a range of entries and a watch a range of events, for the loop and for the standard algorithms.

#include <algorithm>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "kv.hpp"

int main() {
    // Sorted scans go from one wanted key to the next where the store keeps its keys in order.
    kv::Store store = kv::Store::memory({{"ordered_index", "true"}});
    kv::Watch watch = store.watch(kv::WatchOptions().prefix("user:"));
    store.set("user:3", "Grace");
    store.set("user:1", "Ada");
    store.set("page:1", "home");
    store.set("user:2", "Edsger");

    // The views of an entry are valid until the loop goes on.
    const kv::ScanOptions users = kv::ScanOptions().prefix("user:").order(kv::Order::asc);
    for (const kv::Entry& entry : store.scan(users)) std::cout << entry.key << ' ' << entry.value << '\n';

    // A scan is an input range: one pass, and what stays is copied.
    kv::Scan scan = store.scan(kv::ScanOptions().order(kv::Order::desc).keys_only());
    std::vector<std::string> keys;
    std::transform(scan.begin(), scan.end(), std::back_inserter(keys),
                   [](const kv::Entry& entry) { return std::string(entry.key); });
    std::cout << keys.size() << " keys, the last one is " << keys.front() << '\n';

    kv::Scan again = store.scan(users);
    const auto longest = [](const kv::Entry& entry) { return entry.value.size() > 5; };
    std::cout << std::count_if(again.begin(), again.end(), longest) << " long name\n";

    // The events of a watch come in the order of the changes, and go on until it is cancelled.
    int events = 0;
    for (const kv::Event& event : watch) {
        std::cout << "set " << event.key << '\n';
        if (++events == 3) watch.cancel();
    }
}
