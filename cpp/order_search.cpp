// Exact search in sparse problems: the sets of parents that can be in a best graph, and the best order over them by A*.
//
// Yuan, C. and Malone, B. (2013). Learning optimal Bayesian networks: a shortest path perspective. Journal of
// Artificial Intelligence Research 48:23-65, algorithm 1 and section 5 (static k-cycle conflict heuristic).
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <limits>
#include <queue>

#include "score.hpp"
#include "subsets.hpp"

namespace nb = nanobind;

template <class T, int D>
using In = nb::ndarray<const T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;
template <class T, int D>
using Out = nb::ndarray<T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;
using Values = std::vector<std::vector<double>>;
using Sets = std::vector<std::vector<Mask>>;

namespace {

constexpr double NONE = -std::numeric_limits<double>::infinity();
constexpr int MOST = 31, GROUP = 13;

// The sets of parents of one variable, level by level; a set of k members c_1 < ... < c_k of the free variables is
// number sum C(c_i, i) of its level.
class Lattice {
  public:
    Lattice(const Score &score, int y, std::vector<int32_t> free, std::vector<int32_t> held, size_t room)
        : score_(score), y_(y), free_(std::move(free)), held_(std::move(held)), room_(room) {
        for (int n = 0; n <= MOST; ++n)
            for (int k = 0; k <= MOST; ++k)
                choose_[n][k] = k == 0 ? 1 : n == 0 ? 0 : choose_[n - 1][k - 1] + choose_[n - 1][k];
        top_ = score_.top(y_, scratch_);
    }

    // Keeps the sets of up to `most` that score higher than each of their subsets. Returns the level it ended at:
    // `most` + 1 when no larger set can be useful.
    int keep(int most, std::vector<double> &values, std::vector<Mask> &sets) {
        const int m = int(free_.size()), base = int(held_.size());
        const double value = score_.local(y_, held_.data(), base, scratch_);
        best_.assign(1, value);
        shut_.assign(1, closed(held_, value));
        if (value > NONE) values.push_back(value), sets.push_back(mask(held_));
        for (int k = 1; k <= most - base; ++k) {
            if (k > m || std::all_of(shut_.begin(), shut_.end(), [](char c) { return c; })) return most + 1;
            if (choose_[m][k] > room_) return base + k - 1;
            level(k, values, sets);
        }
        const bool all = most - base >= m || std::all_of(shut_.begin(), shut_.end(), [](char c) { return c; });
        return all ? most + 1 : most;
    }

  private:
    bool closed(const std::vector<int32_t> &parents, double best) {
        return top_ < -NONE && score_.ceiling(y_, parents.data(), int(parents.size()), top_, scratch_) <= best;
    }

    static Mask mask(const std::vector<int32_t> &members) {
        Mask out = 0;
        for (int32_t z : members) out |= Mask(1) << z;
        return out;
    }

    void level(int k, std::vector<double> &values, std::vector<Mask> &sets) {
        const int m = int(free_.size());
        std::vector<double> best(choose_[m][k], NONE), out(score_.size);
        std::vector<char> shut(choose_[m][k], 1);
        std::vector<int> at(k);
        for (int i = 0; i < k - 1; ++i) at[i] = i;
        for (size_t number = 0; number < best_.size(); ++number) {  // the sets of the level below, in their order
            std::vector<int32_t> parents(held_);
            for (int i = 0; i < k - 1; ++i) parents.push_back(free_[at[i]]);
            std::sort(parents.begin(), parents.end());
            const int from = k > 1 ? at[k - 2] + 1 : 0;
            if (!shut_[number] && from < m)
                score_.additions(y_, parents.data(), int(parents.size()), NONE, out.data(), scratch_);
            for (int z = from; z < m; ++z) {
                at[k - 1] = z;
                visit(k, at, number + choose_[z][k], shut_[number] ? NONE : out[free_[z]], best, shut, values, sets);
            }
            for (int i = 0; i < k - 1; ++i) {  // the next one
                if (i == k - 2 || at[i] + 1 < at[i + 1]) {
                    ++at[i];
                    break;
                }
                at[i] = i;
            }
        }
        best_ = std::move(best);
        shut_ = std::move(shut);
    }

    void visit(int k, const std::vector<int> &at, size_t number, double value, std::vector<double> &best,
               std::vector<char> &shut, std::vector<double> &values, std::vector<Mask> &sets) {
        double below = NONE;
        bool open = true;
        size_t lower[MOST + 1], higher = 0;  // what the members below one add to the number, and those above it
        lower[0] = 0;
        for (int i = 0; i < k; ++i) lower[i + 1] = lower[i] + choose_[at[i]][i + 1];
        for (int j = k - 1; j >= 0; --j) {
            const size_t without = lower[j] + higher;
            below = std::max(below, best_[without]);
            open = open && !shut_[without];
            higher += choose_[at[j]][j];
        }
        best[number] = open ? std::max(value, below) : below;
        if (!open) return;
        std::vector<int32_t> parents(held_);
        for (int i = 0; i < k; ++i) parents.push_back(free_[at[i]]);
        std::sort(parents.begin(), parents.end());
        if (value > below) values.push_back(value), sets.push_back(mask(parents));
        shut[number] = closed(parents, best[number]);
    }

    const Score &score_;
    const int y_;
    const std::vector<int32_t> free_, held_;
    const size_t room_;
    size_t choose_[MOST + 1][MOST + 1];
    double top_;
    Scratch scratch_;
    std::vector<double> best_;  // of the level below: the best score of each set and its subsets
    std::vector<char> shut_;    // and whether no larger set can be useful
};

// The best score reached at each set of variables, and the variable that came last.
class States {
  public:
    States() : keys_(1 << 12, EMPTY), values_(1 << 12), last_(1 << 12) {}
    size_t count = 0;

    size_t find(Mask key) {
        if (count * 5 > keys_.size() * 3) grow();
        size_t at = slot(key);
        if (keys_[at] == EMPTY) keys_[at] = key, values_[at] = NONE, ++count;
        return at;
    }
    double &value(size_t at) { return values_[at]; }
    uint8_t &last(size_t at) { return last_[at]; }

  private:
    static constexpr Mask EMPTY = ~Mask(0);
    size_t slot(Mask key) const {
        size_t at = (key * 0x9E3779B97F4A7C15ull >> 20) & (keys_.size() - 1);
        while (keys_[at] != EMPTY && keys_[at] != key) at = (at + 1) & (keys_.size() - 1);
        return at;
    }
    void grow() {
        const auto keys = std::move(keys_);
        const auto values = std::move(values_);
        const auto last = std::move(last_);
        keys_.assign(keys.size() * 2, EMPTY);
        values_.assign(keys_.size(), 0.0);
        last_.assign(keys_.size(), 0);
        for (size_t i = 0; i < keys.size(); ++i) {
            if (keys[i] == EMPTY) continue;
            const size_t at = slot(keys[i]);
            keys_[at] = keys[i], values_[at] = values[i], last_[at] = last[i];
        }
    }

    std::vector<Mask> keys_;
    std::vector<double> values_;
    std::vector<uint8_t> last_;
};

// A*: each variable joins those before it with its best parents among them.
class Search {
  public:
    Search(const Values &values, const Sets &sets, std::vector<int> members, Mask placed)
        : values_(values), sets_(sets), members_(std::move(members)), placed_(placed), goal_(placed) {
        for (int v : members_) goal_ |= Mask(1) << v;
    }

    // The number of sets met, 0 when the goal cannot be reached, and -1 when there are more than `most`.
    int64_t run(double least, size_t most, uint32_t *parents) {
        if (!patterns()) return 0;
        States states;
        std::priority_queue<std::pair<double, Mask>> heap;
        states.value(states.find(placed_)) = 0.0;
        heap.push({bound(placed_), placed_});
        while (!heap.empty()) {
            const auto [estimate, inside] = heap.top();
            heap.pop();
            const double value = states.value(states.find(inside));
            if (inside == goal_) break;
            if (estimate < value + bound(inside)) continue;  // reached in a better way since
            for (int v : members_) {
                const Mask bit = Mask(1) << v;
                if (inside & bit) continue;
                const double total = value + best(v, inside), hope = total + bound(inside | bit);
                if (!(hope > least)) continue;
                const size_t at = states.find(inside | bit);
                if (total <= states.value(at)) continue;
                states.value(at) = total, states.last(at) = uint8_t(v);
                heap.push({hope, inside | bit});
            }
            if (states.count > most) return -1;
        }
        if (states.value(states.find(goal_)) == NONE) return 0;
        for (Mask inside = goal_; inside != placed_;) {
            const int v = states.last(states.find(inside));
            inside &= ~(Mask(1) << v);
            parents[v] = sets_[v][within(v, inside)];
        }
        return int64_t(states.count);
    }

  private:
    // The place of v's best set within `inside`; sets stand best first.
    size_t within(int v, Mask inside) const {
        size_t i = 0;
        for (const size_t n = sets_[v].size(); i < n && sets_[v][i] & ~inside;) ++i;
        return i;
    }
    double best(int v, Mask inside) const {
        const size_t i = within(v, inside);
        return i < sets_[v].size() ? values_[v][i] : NONE;
    }

    // Groups of at most GROUP variables, each grown by the one whose absence costs its members most and whose own
    // score suffers most from theirs; for each group, the best that the members of a subset can reach when only
    // they may not form cycles among themselves. False when some variable has no set at all.
    bool patterns() {
        const size_t c = members_.size(), count = (c + GROUP - 1) / GROUP, width = (c + count - 1) / count;
        std::vector<int> left = members_;
        while (!left.empty()) {
            std::vector<int> group{left.front()};
            left.erase(left.begin());
            while (group.size() < width && !left.empty()) {
                size_t pick = 0;
                double most = NONE;
                for (size_t i = 0; i < left.size(); ++i) {
                    double tie = 0.0;
                    for (int v : group) tie += cost(v, left[i]) + cost(left[i], v);
                    if (tie > most) most = tie, pick = i;
                }
                group.push_back(left[pick]);
                left.erase(left.begin() + long(pick));
            }
            groups_.push_back(group);
        }
        for (const auto &group : groups_) {
            std::vector<double> reach(size_t(1) << group.size(), NONE);
            reach[0] = 0.0;
            for (Mask r = 1; r < reach.size(); ++r) {
                Mask rest = goal_;
                for (Mask left = r; left; left &= left - 1) rest &= ~(Mask(1) << group[__builtin_ctz(left)]);
                for (Mask left = r; left; left &= left - 1) {
                    const int j = __builtin_ctz(left);
                    reach[r] = std::max(reach[r], best(group[j], rest) + reach[r & ~(Mask(1) << j)]);
                }
            }
            if (reach.back() == NONE) return false;
            reach_.push_back(std::move(reach));
        }
        return true;
    }
    double cost(int v, int u) const {
        const Mask others = goal_ & ~(Mask(1) << v);
        const double whole = best(v, others), without = best(v, others & ~(Mask(1) << u));
        return without == NONE ? 1e9 : whole == NONE ? 0.0 : whole - without;
    }
    double bound(Mask inside) const {
        double sum = 0.0;
        for (size_t g = 0; g < groups_.size(); ++g) {
            Mask r = 0;
            for (size_t j = 0; j < groups_[g].size(); ++j) r |= Mask(!(inside >> groups_[g][j] & 1)) << j;
            sum += reach_[g][r];
        }
        return sum;
    }

    const Values &values_;
    const Sets &sets_;
    const std::vector<int> members_;
    const Mask placed_;
    Mask goal_;
    std::vector<std::vector<int>> groups_;
    std::vector<std::vector<double>> reach_;
};

}  // namespace

// Per variable the scores and masks of its useful sets of parents, and the level it ended at (see Lattice::keep).
static nb::tuple useful_sets(const Score &score, In<uint8_t, 2> may, In<uint8_t, 2> required, int most, size_t room,
                             int threads) {
    const int d = score.size;
    for (const auto *square : {&may, &required})
        if (d > MOST || int(square->shape(0)) != d || int(square->shape(1)) != d)
            throw std::invalid_argument("constraints are (d, d), d at most 31");
    Values values(d);
    Sets sets(d);
    std::vector<int> ended(d);
    {
        nb::gil_scoped_release release;
        share(size_t(d), threads, [&](size_t y) {
            std::vector<int32_t> free, held;
            bool possible = true;
            for (int z = 0; z < d; ++z) {
                const bool allowed = may.data()[y * d + z] && z != int(y), must = required.data()[y * d + z];
                possible = possible && (allowed || !must);
                if (must) held.push_back(z);
                else if (allowed) free.push_back(z);
            }
            ended[y] = most + 1;
            if (possible && int(held.size()) <= most)
                ended[y] = Lattice(score, int(y), free, held, room).keep(most, values[y], sets[y]);
        });
    }
    return nb::make_tuple(values, sets, ended);
}

// Writes the parents (masks) of the variables in `members`, ordered after those of `placed`, in the best graph with
// families among `sets`, which stand best first. least: graphs that score no more need not be found.
static int64_t best_order(const Values &values, const Sets &sets, std::vector<int> members, Mask placed, double least,
                          size_t most, Out<uint32_t, 1> parents) {
    if (values.size() != sets.size() || parents.shape(0) != sets.size() || sets.size() > MOST)
        throw std::invalid_argument("one list of sets and one place for parents per variable");
    for (int v : members)
        if (v < 0 || v >= int(sets.size())) throw std::invalid_argument("members are variables");
    nb::gil_scoped_release release;
    return Search(values, sets, std::move(members), placed).run(least, most, parents.data());
}

void bind_order_search(nb::module_ &m) {
    m.def("useful_sets", &useful_sets, nb::arg("score"), nb::arg("may"), nb::arg("required"), nb::arg("most"),
          nb::arg("room"), nb::arg("threads"));
    m.def("best_order", &best_order, nb::arg("values"), nb::arg("sets"), nb::arg("members"), nb::arg("placed"),
          nb::arg("least"), nb::arg("most"), nb::arg("parents"));
}
