// Best order score search: moves one variable at a time to the best place in the order, until none improves.
//
// Andrews, B., Ramsey, J., Sanchez-Romero, R., Camchong, J. and Kummerfeld, E. (2023). Fast scalable and accurate
// discovery of DAGs using the best order score search and grow-shrink trees. NeurIPS, algorithms 4 and 5.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "grow_shrink.hpp"

namespace nb = nanobind;

template <class T, int D>
using In = nb::ndarray<const T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;
template <class T, int D>
using Out = nb::ndarray<T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;

// What knowledge leaves.
struct Constraints {
    const uint8_t *may;                          // by child: may[y * d + z], whether z -> y may be
    const uint8_t *before;                       // transitive: before[a * d + b], a precedes b in every order
    std::vector<std::vector<int32_t>> required;  // by child: parents that must be there
};

class OrderSearch {
  public:
    OrderSearch(const Score &score, const Constraints &known) : score_(score), known_(known), d_(score.size) {
        trees_.resize(d_);
        for (int y = 0; y < d_; ++y)
            trees_[y].begin(score, y, known.may + size_t(y) * d_, known.required[y], scratch_);
        prefix_.resize(d_), without_.resize(d_), with_.resize(d_), current_.resize(d_);
    }

    // Improves `order` in place until no single move helps; returns its score. `turn` is the sequence of variables.
    double improve(std::vector<int32_t> &order, const std::vector<int32_t> &turn, int sweeps) {
        double total = 0.0;
        std::fill(prefix_.begin(), prefix_.end(), 0);
        for (int i = 0; i < d_; ++i) {
            total += current_[order[i]] = trees_[order[i]].trace(score_, prefix_.data(), scratch_);
            prefix_[order[i]] = 1;
        }
        for (int sweep = 0; sweep < sweeps; ++sweep) {
            bool moved = false;
            for (int32_t x : turn) moved |= best_move(order, x, total);
            if (!moved) break;
        }
        return total;
    }

    void graph(const std::vector<int32_t> &order, uint8_t *arrows) {
        std::fill(prefix_.begin(), prefix_.end(), 0);
        for (int32_t y : order) {
            for (int32_t z : trees_[y].parents(score_, prefix_.data(), scratch_)) arrows[size_t(z) * d_ + y] = 1;
            prefix_[y] = 1;
        }
    }

    // Moves the variable at one place to another, unless knowledge wants it before or after one that it would pass.
    void shift(std::vector<int32_t> &order, int from, int to) const {
        const int32_t x = order[from];
        for (int i = std::min(from, to); i <= std::max(from, to); ++i)
            if (known_.before[size_t(from < to ? x : order[i]) * d_ + (from < to ? order[i] : x)]) return;
        order.erase(order.begin() + from);
        order.insert(order.begin() + to, x);
    }

    static constexpr double TOLERANCE = 1e-7;

    size_t nodes() const {
        size_t sum = 0;
        for (const auto &tree : trees_) sum += tree.nodes();
        return sum;
    }

  private:
    bool best_move(std::vector<int32_t> &order, int32_t x, double &total) {
        const int at = int(std::find(order.begin(), order.end(), x) - order.begin());
        int low = 0, high = d_ - 1;
        for (int i = 0; i < d_; ++i) {
            if (i < at && known_.before[size_t(order[i]) * d_ + x]) low = i + 1;
            if (i > at && known_.before[size_t(x) * d_ + order[i]]) { high = i - 1; break; }
        }
        if (low == high) return false;
        // Places between low and high; the others keep their scores. Scores of x and of each other variable there.
        std::fill(prefix_.begin(), prefix_.end(), 0);
        for (int i = 0; i < low; ++i) prefix_[order[i]] = 1;
        rest_.clear();
        for (int i = low; i <= high; ++i)
            if (i != at) rest_.push_back(order[i]);
        const int m = int(rest_.size());
        own_.resize(m + 1);
        double after = 0.0;
        for (int i = 0; i <= m; ++i) {
            const bool here = low + i == at;
            own_[i] = here ? current_[x] : trees_[x].trace(score_, prefix_.data(), scratch_);
            if (i == m) break;
            const int32_t y = rest_[i];
            const bool follows = low + i >= at;
            prefix_[x] = 0;
            without_[y] = follows ? trees_[y].trace(score_, prefix_.data(), scratch_) : current_[y];
            prefix_[x] = 1;
            with_[y] = follows ? current_[y] : trees_[y].trace(score_, prefix_.data(), scratch_);
            prefix_[x] = 0;
            after += with_[y];
            prefix_[y] = 1;
        }
        double before = 0.0, now = 0.0, best = -std::numeric_limits<double>::infinity();
        int place = at - low;
        for (int i = 0; i <= m; ++i) {
            const double value = before + own_[i] + after;
            if (low + i == at) now = value;
            if (value > best + TOLERANCE) best = value, place = i;
            if (i < m) before += without_[rest_[i]], after -= with_[rest_[i]];
        }
        if (best <= now + TOLERANCE) return false;
        total += best - now;
        current_[x] = own_[place];
        for (int i = 0; i < m; ++i) current_[rest_[i]] = i < place ? without_[rest_[i]] : with_[rest_[i]];
        rest_.insert(rest_.begin() + place, x);
        std::copy(rest_.begin(), rest_.end(), order.begin() + low);
        return true;
    }

    const Score &score_;
    const Constraints &known_;
    const int d_;
    Scratch scratch_;
    std::vector<GrowShrinkTree> trees_;
    std::vector<uint8_t> prefix_;
    std::vector<double> without_, with_, current_, own_;
    std::vector<int32_t> rest_;
};

// Improves `order`, then tries each of the `shakes` in turn: its moves (variable at place i to place j) are made
// on the best order so far, which is replaced when the search from there ends higher. Moves that knowledge does
// not allow are skipped. Writes the best order and its arrows; returns its score and the number of tree nodes.
static nb::tuple boss(const Score &score, In<uint8_t, 2> may, In<uint8_t, 2> before, In<uint8_t, 2> required,
                      In<int32_t, 3> shakes, int sweeps, Out<int32_t, 1> order, Out<uint8_t, 2> arrows) {
    const int d = score.size;
    for (const auto *square : {&may, &before, &required})
        if (int(square->shape(0)) != d || int(square->shape(1)) != d) throw std::invalid_argument("constraints are (d, d)");
    if (int(order.shape(0)) != d || int(arrows.shape(0)) != d || int(arrows.shape(1)) != d || shakes.shape(2) != 2)
        throw std::invalid_argument("wrong shape of order, arrows or shakes");
    std::vector<char> seen(d, 0);
    for (int i = 0; i < d; ++i) {
        const int32_t v = order.data()[i];
        if (v < 0 || v >= d || seen[v]) throw std::invalid_argument("order must hold every variable once");
        seen[v] = 1;
    }
    for (size_t i = 0; i < shakes.size(); ++i)
        if (shakes.data()[i] < 0 || shakes.data()[i] >= d) throw std::invalid_argument("a shake names no place");
    Constraints known{may.data(), before.data(), std::vector<std::vector<int32_t>>(d)};
    for (int y = 0; y < d; ++y)
        for (int z = 0; z < d; ++z)
            if (required.data()[size_t(y) * d + z]) known.required[y].push_back(z);
    double best;
    size_t nodes;
    {
        nb::gil_scoped_release release;
        OrderSearch search(score, known);
        std::vector<int32_t> chosen(order.data(), order.data() + d);
        const std::vector<int32_t> turn = chosen;
        best = search.improve(chosen, turn, sweeps);
        const size_t moves = shakes.shape(1);
        for (size_t s = 0; s < shakes.shape(0); ++s) {
            std::vector<int32_t> other = chosen;
            const int32_t *move = shakes.data() + s * moves * 2;
            for (size_t t = 0; t < moves; ++t, move += 2) search.shift(other, move[0], move[1]);
            const double value = search.improve(other, turn, sweeps);
            if (value > best + OrderSearch::TOLERANCE) best = value, chosen = std::move(other);
        }
        std::copy(chosen.begin(), chosen.end(), order.data());
        search.graph(chosen, arrows.data());
        nodes = search.nodes();
    }
    return nb::make_tuple(best, nodes);
}

void bind_boss(nb::module_ &m) {
    m.def("boss", &boss, nb::arg("score"), nb::arg("may"), nb::arg("before"), nb::arg("required"),
          nb::arg("shakes"), nb::arg("sweeps"), nb::arg("order"), nb::arg("arrows"));
}
