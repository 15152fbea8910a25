// Rows as bit sets, to count those that two sets share.
#pragma once

#include <cstdint>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define WHENCE_POPCOUNT __attribute__((target_clones("popcnt", "default")))
#else
#define WHENCE_POPCOUNT
#endif

// How many rows are in both sets of `words` words.
WHENCE_POPCOUNT static int32_t shared(const uint64_t *__restrict a, const uint64_t *__restrict b, size_t words) {
    int64_t one = 0, two = 0;
    size_t w = 0;
    for (; w + 1 < words; w += 2) {
        one += __builtin_popcountll(a[w] & b[w]);
        two += __builtin_popcountll(a[w + 1] & b[w + 1]);
    }
    if (w < words) one += __builtin_popcountll(a[w] & b[w]);
    return int32_t(one + two);
}

// How many of the first `rows` rows are in both.
static inline int32_t shared_before(const uint64_t *a, const uint64_t *b, size_t rows) {
    const size_t words = rows >> 6;
    const uint64_t last = (uint64_t(1) << (rows & 63)) - 1;
    return shared(a, b, words) + (last ? int32_t(__builtin_popcountll(a[words] & b[words] & last)) : 0);
}

// The rows of every level but the first of every variable.
class LevelBits {
  public:
    // codes: one row of n values in [0, cards[v]) per variable.
    LevelBits(const std::vector<uint8_t> &codes, const std::vector<int32_t> &cards, int n) : words_((size_t(n) + 63) / 64) {
        for (int32_t card : cards) starts_.push_back(levels_), levels_ += size_t(card > 1 ? card - 1 : 0);
        bits_.assign(levels_ * words_, 0);
        for (size_t v = 0; v < cards.size(); ++v)
            for (size_t i = 0; i < size_t(n); ++i)
                if (const uint8_t x = codes[v * n + i]) bits_[(starts_[v] + x - 1) * words_ + (i >> 6)] |= uint64_t(1) << (i & 63);
    }

    const uint64_t *of(int v, int level) const { return &bits_[(starts_[v] + level - 1) * words_]; }
    size_t words() const { return words_; }
    size_t levels() const { return levels_; }

  private:
    size_t words_, levels_ = 0;
    std::vector<size_t> starts_;
    std::vector<uint64_t> bits_;
};
