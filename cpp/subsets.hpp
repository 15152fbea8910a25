// Sets of variables as bit masks, numbers of any size as mantissa and power of two, and shared work.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

using Mask = uint32_t;

constexpr int MOST_VARIABLES = 22;
constexpr int32_t ZERO = -(1 << 25);  // the power of two of nothing: twenty of them still fit an int32

// The sets that lack y, numbered 0 .. 2^(d-1) - 1: bits above y move down by one.
inline Mask packed(Mask u, int y) {
    const Mask low = (Mask(1) << y) - 1;
    return (u & low) | ((u >> 1) & ~low);
}
inline Mask unpacked(Mask p, int y) {
    const Mask low = (Mask(1) << y) - 1;
    return (p & low) | ((p & ~low) << 1);
}

// 2^e for e at most 1023; nothing below the smallest normal number.
inline double power(int32_t e) {
    const int64_t bits = e < -1022 ? 0 : int64_t(e + 1023) << 52;
    double out;
    std::memcpy(&out, &bits, sizeof out);
    return out;
}

// m 2^e += other
inline void add(double &m, int32_t &e, double other_m, int32_t other_e) {
    if (other_m == 0.0) return;
    if (m == 0.0 || other_e > e) {
        m = other_m + m * power(e - other_e);
        e = other_e;
    } else {
        m += other_m * power(other_e - e);
    }
}

// work(i) for i in 0 .. count - 1, shared by threads; an exception of any of them is thrown again here.
template <class Work> void share(size_t count, int threads, const Work &work) {
    std::atomic<size_t> next{0};
    std::exception_ptr wrong;
    std::mutex lock;
    const auto run = [&] {
        try {
            for (size_t i; (i = next.fetch_add(1)) < count;) work(i);
        } catch (...) {
            const std::lock_guard<std::mutex> guard(lock);
            wrong = std::current_exception();
            next = count;
        }
    };
    std::vector<std::thread> pool;
    try {
        for (size_t t = 1; t < std::min(size_t(threads > 1 ? threads : 1), count); ++t) pool.emplace_back(run);
    } catch (const std::system_error &) {
        // The system gives no more threads: those that started share the work.
    }
    run();
    for (auto &thread : pool) thread.join();
    if (wrong) std::rethrow_exception(wrong);
}
