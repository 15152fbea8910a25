// Chi-square and G2 tests over many conditioning sets, for the PC-stable search on categories.
//
// A set grows by one column per depth: the cell of every row in the table of x, y and the set so far is kept, so
// a test is one pass over the rows. Strata that do not occur are renumbered away when they outnumber the rows.
// Rows may stand for several equal ones.
#include "chi_square.hpp"
#include "pairs.hpp"

#include <cmath>
#include <limits>

namespace {

constexpr uint16_t MISSING = 65535;
constexpr uint32_t NOWHERE = 0xFFFFFFFFu;  // the cell of a row with a missing value
constexpr uint64_t MOST_CELLS = 1u << 26;  // a table of more cells is not tested

struct Data {
    const uint16_t *codes;    // (d, n), MISSING for none
    const int32_t *weight;    // (n,), how many rows of data each row stands for
    const int64_t *levels;    // (d,)
    size_t d, n;
    bool likelihood;          // G2, else chi-square
    bool gaps;                // any missing value
    std::vector<double> xlogx;  // k log k for k up to the rows of data
};

struct Answer {
    double p, value, df;
    int64_t n;
    bool possible;
};

// The walk over subsets of one list, for one pair of end points.
struct Counter {
    const Data &data;
    Subsets sets;
    int32_t x = 0, y = 0;
    size_t size = 0;
    uint64_t ends = 0;  // cells of the table of x and y
    std::vector<std::vector<uint32_t>> cell;  // per depth: of each row, within the table of x, y and the set
    std::vector<uint64_t> strata;             // per depth
    std::vector<uint32_t> number;
    std::vector<int32_t> table, by_row, by_column, total;

    explicit Counter(const Data &data) : data(data), sets(data.d) {}

    void begin(int32_t x_, int32_t y_, int size_) {
        x = x_, y = y_, size = size_t(size_);
        if (cell.size() < size + 1) cell.resize(size + 1), strata.resize(size + 1);
        ends = uint64_t(data.levels[x]) * data.levels[y];
        cell[0].resize(data.n);
        strata[0] = 1;
        const uint16_t *a = data.codes + x * data.n, *b = data.codes + y * data.n;
        const uint32_t width = uint32_t(data.levels[y]);
        for (size_t i = 0; i < data.n; ++i) {
            const bool gone = a[i] == MISSING || b[i] == MISSING;
            cell[0][i] = gone ? NOWHERE : a[i] * width + b[i];
        }
    }

    // Adds variable s as element m of the set.
    void push(size_t m, int32_t s) {
        auto &to = cell[m + 1];
        const auto &from = cell[m];
        to.resize(data.n);
        if (ends * strata[m] >= MOST_CELLS) {  // no test of this set or a larger one is made
            strata[m + 1] = MOST_CELLS;
            return;
        }
        const uint16_t *c = data.codes + s * data.n;
        const uint64_t width = data.levels[s];
        strata[m + 1] = strata[m] * width;
        if (ends * strata[m + 1] >= MOST_CELLS || strata[m + 1] > std::max<uint64_t>(2 * data.n, 64)) {
            renumber(from, c, width, to, m);
            return;
        }
        const uint32_t w = uint32_t(width);
        for (size_t i = 0; i < data.n; ++i) to[i] = from[i] * w + c[i];
        if (data.gaps)
            for (size_t i = 0; i < data.n; ++i)
                if (from[i] == NOWHERE || c[i] == MISSING) to[i] = NOWHERE;
    }

    // As push, with only the strata that occur, in order of first appearance.
    void renumber(const std::vector<uint32_t> &from, const uint16_t *c, uint64_t width, std::vector<uint32_t> &to,
                  size_t m) {
        const uint64_t before = strata[m];
        number.assign(before * width, NOWHERE);
        uint32_t seen = 0;
        for (size_t i = 0; i < data.n; ++i) {
            if (from[i] == NOWHERE || c[i] == MISSING) continue;
            uint32_t &own = number[(from[i] % before) * width + c[i]];
            if (own == NOWHERE) own = seen++;
        }
        strata[m + 1] = std::max(seen, 1u);
        for (size_t i = 0; i < data.n; ++i) {
            const bool gone = from[i] == NOWHERE || c[i] == MISSING;
            to[i] = gone ? NOWHERE : uint32_t((from[i] / before) * strata[m + 1]) + number[(from[i] % before) * width + c[i]];
        }
    }

    // The table at the full set, [x][y][stratum]; small tables are counted four rows at a time, each into its own.
    bool count() {
        const uint64_t cells = ends * strata[size];
        if (cells >= MOST_CELLS) return false;
        const uint32_t *at = cell[size].data();
        const int32_t *w = data.weight;
        const size_t copies = cells <= 2048 ? 4 : 1, spare = cells + 1;  // the last cell takes the missing
        table.assign(copies * spare, 0);
        int32_t *t[4] = {table.data(), nullptr, nullptr, nullptr};
        for (size_t k = 1; k < 4; ++k) t[k] = copies == 4 ? t[0] + k * spare : t[0];
        size_t i = 0;
        if (!data.gaps) {
            for (; i + 4 <= data.n; i += 4)
                for (int k = 0; k < 4; ++k) t[k][at[i + k]] += w[i + k];
            for (; i < data.n; ++i) t[0][at[i]] += w[i];
        } else {
            for (; i < data.n; ++i) t[i & 3][std::min<uint64_t>(at[i], cells)] += w[i];
        }
        if (copies == 4)
            for (size_t j = 0; j < cells; ++j) t[0][j] += t[1][j] + t[2][j] + t[3][j];
        return true;
    }

    Answer test() {
        if (!count()) return {0, 0, 0, 0, false};
        const size_t rows = data.levels[x], columns = data.levels[y], s = strata[size];
        by_row.assign(rows * s, 0), by_column.assign(columns * s, 0), total.assign(s, 0);
        for (size_t a = 0; a < rows; ++a)
            for (size_t b = 0; b < columns; ++b) {
                const int32_t *from = &table[(a * columns + b) * s];
                int32_t *row = &by_row[a * s], *column = &by_column[b * s];
                for (size_t k = 0; k < s; ++k) row[k] += from[k], column[k] += from[k];
            }
        for (size_t a = 0; a < rows; ++a)
            for (size_t k = 0; k < s; ++k) total[k] += by_row[a * s + k];
        int64_t n = 0, df = 0;
        double value = 0;
        for (size_t k = 0; k < s; ++k) {
            n += total[k];
            if (total[k] < 2) continue;
            int64_t r = 0, c = 0;
            int32_t most_row = 0, most_column = 0;
            for (size_t a = 0; a < rows; ++a) r += by_row[a * s + k] > 0, most_row = std::max(most_row, by_row[a * s + k]);
            for (size_t b = 0; b < columns; ++b)
                c += by_column[b * s + k] > 0, most_column = std::max(most_column, by_column[b * s + k]);
            // A stratum where every row or every column holds one observation says nothing.
            if (most_row < 2 || most_column < 2 || r < 2 || c < 2) continue;
            df += (r - 1) * (c - 1);
            value += data.likelihood ? g2(k, rows, columns, s, double((r - 1) * (c - 1))) : chi2(k, rows, columns, s);
        }
        if (!df) return {0, 0, 0, n, false};
        value = std::max(value, 0.0);  // rounding can leave a tiny negative number where the fit is perfect
        return {chi_square_tail(double(df), value), value, double(df), n, true};
    }

    double chi2(size_t k, size_t rows, size_t columns, size_t s) const {
        double shares = 0;
        for (size_t a = 0; a < rows; ++a) {
            const double row = by_row[a * s + k];
            if (row == 0) continue;
            for (size_t b = 0; b < columns; ++b) {
                const double o = table[(a * columns + b) * s + k];
                if (o > 0) shares += o * o / (row * by_column[b * s + k]);
            }
        }
        return (total[k] - 1.0) * (shares - 1.0);
    }

    // Divided by Williams' (1976) factor, which brings the mean in small strata to the degrees of freedom. With rare
    // levels his series is no guide, and the factor would silence the stratum: it is at most MOST_FACTOR.
    static constexpr double MOST_FACTOR = 1.5;
    double g2(size_t k, size_t rows, size_t columns, size_t s, double df) const {
        const double n = total[k];
        double sum = data.xlogx[total[k]], row = 0, column = 0;
        for (size_t a = 0; a < rows; ++a) {
            sum -= data.xlogx[by_row[a * s + k]];
            if (by_row[a * s + k]) row += n / by_row[a * s + k];
            for (size_t b = 0; b < columns; ++b) sum += data.xlogx[table[(a * columns + b) * s + k]];
        }
        for (size_t b = 0; b < columns; ++b) {
            sum -= data.xlogx[by_column[b * s + k]];
            if (by_column[b * s + k]) column += n / by_column[b * s + k];
        }
        return 2 * sum / std::min(MOST_FACTOR, 1 + (row - 1) * (column - 1) / (6 * n * df));
    }

    // Calls leaf(answer) for every set of candidates of this size until it returns true.
    template <class Leaf>
    bool each_set(const Lists &lists, int32_t x_, int32_t y_, int size_, Leaf &&leaf) {
        begin(x_, y_, size_);
        return sets.both(lists, x, y, size, [&](size_t m, int32_t s) { push(m, s); }, [&] { return leaf(test()); });
    }
};

Data checked(const In<uint16_t, 2> &codes, const In<int32_t, 1> &weight, const In<int64_t, 1> &levels,
                    bool likelihood, const In<int32_t, 2> &pairs) {
    const size_t d = codes.shape(0), n = codes.shape(1);
    check(weight.shape(0) == n && levels.shape(0) == d, "weight has one entry per row, levels one per variable");
    check_pairs(d, pairs);
    Data data{codes.data(), weight.data(), levels.data(), d, n, likelihood, false, {}};
    int64_t rows = 0;
    for (size_t i = 0; i < n; ++i) {
        check(weight.data()[i] >= 0, "a weight is negative");
        rows += weight.data()[i];
    }
    check(rows < std::numeric_limits<int32_t>::max(), "too many rows");
    for (size_t j = 0; j < d; ++j) {
        check(levels.data()[j] >= 1 && levels.data()[j] < MISSING, "levels must be between 1 and 65534");
        for (size_t i = 0; i < n; ++i) {
            const uint16_t v = codes.data()[j * n + i];
            if (v == MISSING) data.gaps = true;
            else check(v < levels.data()[j], "a code is not below its number of levels");
        }
    }
    if (likelihood) {
        data.xlogx.resize(rows + 1, 0.0);
        for (int64_t k = 2; k <= rows; ++k) data.xlogx[k] = double(k) * std::log(double(k));
    }
    return data;
}

// One level of PC-stable: every set of `size` candidates of either end, until a p-value exceeds alpha.
void discrete_level(In<uint16_t, 2> codes, In<int32_t, 1> weight, In<int64_t, 1> levels, bool likelihood,
                    In<int64_t, 1> starts, In<int32_t, 1> candidates, In<int32_t, 2> pairs, int size, double alpha,
                    int threads, Out<uint8_t, 1> removed, Out<double, 2> numbers, Out<int64_t, 1> rows,
                    Out<int32_t, 2> sets, Out<int64_t, 2> tests) {
    const size_t m = pairs.shape(0);
    check_level(m, size, removed, sets, tests);
    check(numbers.shape(0) == m && numbers.shape(1) == 3 && rows.shape(0) == m, "wrong output shape");
    const Data data = checked(codes, weight, levels, likelihood, pairs);
    const Lists lists = checked_lists(data.d, starts, candidates);
    nb::gil_scoped_release release;
    share_pairs(m, 1, threads, [&] { return Counter(data); }, [&](Counter &counter, size_t p) {
        double best = -1;
        removed.data()[p] = counter.each_set(lists, pairs.data()[2 * p], pairs.data()[2 * p + 1], size, [&](const Answer &answer) {
            ++tests.data()[2 * p + !answer.possible];
            if (!answer.possible || answer.p <= best) return false;
            best = answer.p;
            const double told[3] = {answer.p, answer.value, answer.df};
            std::copy(told, told + 3, numbers.data() + 3 * p);
            rows.data()[p] = answer.n;
            std::copy(counter.sets.set.begin(), counter.sets.set.end(), sets.data() + p * size);
            return best > alpha;
        });
    });
}

// For each pair and each of its middle nodes: among all sets of at most `largest` candidates, how many separate the
// pair with and without the middle node, and the largest p-value with and without it.
void discrete_triples(In<uint16_t, 2> codes, In<int32_t, 1> weight, In<int64_t, 1> levels, bool likelihood,
                      In<int64_t, 1> starts, In<int32_t, 1> candidates, In<int32_t, 2> pairs,
                      In<int64_t, 1> middle_starts, In<int32_t, 1> middles, int largest, double alpha,
                      int threads, Out<int64_t, 2> separating, Out<double, 2> p_value) {
    const size_t m = pairs.shape(0);
    check_middles(m, middle_starts, middles, separating, p_value);
    const Data data = checked(codes, weight, levels, likelihood, pairs);
    const Lists lists = checked_lists(data.d, starts, candidates);
    nb::gil_scoped_release release;
    share_pairs(m, 1, threads, [&] { return Counter(data); }, [&](Counter &counter, size_t p) {
        const int64_t from = middle_starts.data()[p], to = middle_starts.data()[p + 1];
        for (int size = 0; size <= largest; ++size)
            counter.each_set(lists, pairs.data()[2 * p], pairs.data()[2 * p + 1], size, [&](const Answer &answer) {
                if (!answer.possible) return false;
                for (int64_t q = from; q < to; ++q) {
                    const bool without = !counter.sets.has(middles.data()[q]);
                    double &high = p_value.data()[2 * q + without];
                    if (!(high >= answer.p)) high = answer.p;  // NaN at first
                    separating.data()[2 * q + without] += answer.p > alpha;
                }
                return false;
            });
    });
}

}  // namespace

void bind_skeleton_discrete(nb::module_ &m) {
    m.def("discrete_level", &discrete_level, nb::arg("codes"), nb::arg("weight"), nb::arg("levels"),
          nb::arg("likelihood"), nb::arg("starts"), nb::arg("candidates"), nb::arg("pairs"), nb::arg("size"),
          nb::arg("alpha"), nb::arg("threads"), nb::arg("removed"), nb::arg("numbers"), nb::arg("rows"),
          nb::arg("sets"), nb::arg("tests"));
    m.def("discrete_triples", &discrete_triples, nb::arg("codes"), nb::arg("weight"), nb::arg("levels"),
          nb::arg("likelihood"), nb::arg("starts"), nb::arg("candidates"), nb::arg("pairs"),
          nb::arg("middle_starts"), nb::arg("middles"), nb::arg("largest"), nb::arg("alpha"), nb::arg("threads"),
          nb::arg("separating"), nb::arg("p_value"));
}
