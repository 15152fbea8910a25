// Decomposable scores as Python objects, shared by every search.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "score_blocks.hpp"
#include "score_cells.hpp"
#include "score_discrete.hpp"
#include "score_gaussian.hpp"

namespace nb = nanobind;

template <class T, int D>
using In = nb::ndarray<const T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;
template <class T, int D>
using Out = nb::ndarray<T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;

namespace {

// A score computed in Python: each set of parents is asked for once, in ascending order.
class CalledScore final : public Score {
  public:
    CalledScore(int d, nb::callable call) : Score(d), call_(std::move(call)) {}
    ~CalledScore() override {
        nb::gil_scoped_acquire hold;
        call_.reset();
    }

    double local(int y, const int32_t *parents, int k, Scratch &) const override {
        std::pair<int, std::vector<int32_t>> key{y, std::vector<int32_t>(parents, parents + k)};
        std::sort(key.second.begin(), key.second.end());
        {
            const std::lock_guard<std::mutex> guard(lock_);
            const auto found = known_.find(key);
            if (found != known_.end()) return found->second;
        }
        double value;
        {
            nb::gil_scoped_acquire hold;
            nb::list set;
            for (int32_t z : key.second) set.append(z);
            value = nb::cast<double>(call_(y, nb::tuple(set)));
        }
        const std::lock_guard<std::mutex> guard(lock_);
        return known_[std::move(key)] = value;
    }

  private:
    nb::callable call_;
    mutable std::mutex lock_;
    mutable std::map<std::pair<int, std::vector<int32_t>>, double> known_;
};

}  // namespace

template <class T>
static std::vector<T> copied(const T *from, size_t n) { return std::vector<T>(from, from + n); }

static std::shared_ptr<Score> gaussian_score(In<double, 2> r, In<double, 1> level, In<double, 1> slope, double weight) {
    const size_t d = r.shape(0);
    if (r.shape(1) != d || level.shape(0) != slope.shape(0)) throw std::invalid_argument("wrong shape of a score");
    return std::make_shared<GaussianScore>(copied(r.data(), d * d), int(d), copied(level.data(), level.shape(0)),
                                           copied(slope.data(), slope.shape(0)), weight);
}

static std::shared_ptr<Score> discrete_score(In<uint8_t, 2> codes, In<int32_t, 1> cards, int kind, double strength,
                                             double structure, int whole, int copies, std::vector<double> regret,
                                             double worth) {
    const size_t d = codes.shape(0), n = codes.shape(1), most = size_t(std::numeric_limits<int32_t>::max());
    if (cards.shape(0) != d || n == 0 || kind < 0 || kind > 2) throw std::invalid_argument("wrong shape of a score");
    if (whole < 0) whole = int(n);
    if (copies < 1 || size_t(whole) > n || n > most / size_t(copies))
        throw std::invalid_argument("too many rows, or more whole ones than all");
    for (size_t v = 0; v < d; ++v)
        for (size_t i = 0; i < n; ++i)
            if (codes.data()[v * n + i] >= cards.data()[v]) throw std::invalid_argument("a code is not below its cardinality");
    return std::make_shared<DiscreteScore>(copied(codes.data(), d * n), copied(cards.data(), d), int(n),
                                           DiscreteScore::Kind(kind), strength, structure, whole, copies, worth,
                                           std::move(regret));
}

static std::shared_ptr<Score> cells_score(In<uint8_t, 2> codes, In<int32_t, 1> cards, In<double, 2> values, double price,
                                          double structure) {
    const size_t d = codes.shape(0), n = codes.shape(1);
    if (cards.shape(0) != d || n == 0 || values.shape(0) != d || values.shape(1) != n)
        throw std::invalid_argument("wrong shape of a score");
    for (size_t v = 0; v < d; ++v)
        for (size_t i = 0; i < n; ++i)
            if (cards.data()[v] > 0 && codes.data()[v * n + i] >= cards.data()[v])
                throw std::invalid_argument("a code is not below its cardinality");
    return std::make_shared<CellsScore>(copied(codes.data(), d * n), copied(cards.data(), d),
                                        copied(values.data(), d * n), int(n), price, structure);
}

static std::shared_ptr<Score> block_score(In<double, 2> r, In<int32_t, 1> starts, double n, double price,
                                          double structure) {
    const size_t c = r.shape(0), d = starts.shape(0) - 1;
    if (r.shape(1) != c || starts.shape(0) < 2 || starts.data()[0] != 0 || size_t(starts.data()[d]) != c)
        throw std::invalid_argument("wrong shape of a score");
    for (size_t v = 0; v < d; ++v)
        if (starts.data()[v + 1] <= starts.data()[v]) throw std::invalid_argument("starts must ascend");
    return std::make_shared<BlockScore>(copied(r.data(), c * c), copied(starts.data(), d + 1), n, price, structure);
}

static void check(const Score &score, int y, const In<int32_t, 1> &parents) {
    for (size_t j = 0; j <= parents.shape(0); ++j) {
        const int32_t v = j < parents.shape(0) ? parents.data()[j] : y;
        if (v < 0 || v >= score.size || (j < parents.shape(0) && v == y))
            throw std::invalid_argument("parents must be variables other than the child");
    }
}

static double local(const Score &score, int y, In<int32_t, 1> parents) {
    check(score, y, parents);
    Scratch scratch;
    return score.local(y, parents.data(), int(parents.shape(0)), scratch);
}

static void additions(const Score &score, int y, In<int32_t, 1> parents, Out<double, 1> out) {
    check(score, y, parents);
    if (int(out.shape(0)) != score.size) throw std::invalid_argument("out has one entry per variable");
    Scratch scratch;
    const double none = -std::numeric_limits<double>::infinity();
    score.additions(y, parents.data(), int(parents.shape(0)), none, out.data(), scratch);
}

void bind_scores(nb::module_ &m) {
    nb::class_<Score>(m, "Score")
        .def_ro("size", &Score::size)
        .def("local", &local, nb::arg("y"), nb::arg("parents"))
        .def("additions", &additions, nb::arg("y"), nb::arg("parents"), nb::arg("out"));
    m.def("gaussian_score", &gaussian_score, nb::arg("r"), nb::arg("level"), nb::arg("slope"), nb::arg("weight"));
    m.def("discrete_score", &discrete_score, nb::arg("codes"), nb::arg("cards"), nb::arg("kind"),
          nb::arg("strength"), nb::arg("structure"), nb::arg("whole") = -1, nb::arg("copies") = 1,
          nb::arg("regret") = std::vector<double>(), nb::arg("worth") = 0.0);
    m.def("cells_score", &cells_score, nb::arg("codes"), nb::arg("cards"), nb::arg("values"), nb::arg("price"),
          nb::arg("structure"));
    m.def("block_score", &block_score, nb::arg("r"), nb::arg("starts"), nb::arg("n"), nb::arg("price"),
          nb::arg("structure"));
    m.def("called_score", [](int size, nb::callable call) -> std::shared_ptr<Score> {
        return std::make_shared<CalledScore>(size, std::move(call));
    }, nb::arg("size"), nb::arg("call"));
}
