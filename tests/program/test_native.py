"""C and C++ as the engine sees them: what a walk over a caller in Python finds inside."""

from __future__ import annotations

import random
from textwrap import dedent

import libcst
import pytest

from pgaudit.engine.labels import Token
from pgaudit.engine.walk import Walk, walk
from pgaudit.program import ir
from pgaudit.program.lower import lower
from pgaudit.program.native import lower_native
from tests.engine.support import PRELUDE, PRINT

BIGRAMS = """
    #include <stdint.h>
    #define BITS 16
    #define MASK ((1u << BITS) - 1)
    static uint32_t counts[1 << BITS];

    double run(const uint16_t *tokens, int n) {
        double sum = 0;
        for (int i = 1; i < n; i++) {
            uint64_t h = ((uint64_t)tokens[i] * 0x9E37ULL) ^ tokens[i - 1];
            sum += counts[h & MASK];
            counts[h & MASK]++;
        }
        return sum;
    }
"""


def test_a_counted_loop_gives_its_variable_an_address() -> None:
    seen = called(BIGRAMS)
    assert keys(seen)[0] == [{0, 1}]
    assert [event.what for event in seen.updates] == ["count"] * 3
    assert {line for _, line in places(seen)} == {12}


@pytest.mark.parametrize(
    "loop",
    [
        "for (i = 1; i < n; ++i) { BODY }",
        "for (int i = 1; i <= n - 1; i += 1) { BODY }",
        "for (int i = 1; n > 5 && i < n; i++) { BODY }",
        "i = 1; while (i < n) { BODY i++; }",
        "i = 1; do { BODY i++; } while (i < n);",
        "for (i = 1; ; i++) { if (i >= n) break; BODY }",
        "const uint16_t *p = tokens + 1; while (p < tokens + n) { h = (p[0] * 31) ^ p[-1]; LOOK p++; }",
        "const uint16_t *p = tokens; for (i = 1; i < n; i++) { h = *p++; h = (h * 31) ^ *p; LOOK }",
    ],
)
def test_loops_of_every_kind_look_up_both_tokens(loop: str) -> None:
    body = loop.replace("BODY", "h = (tokens[i] * 31) ^ tokens[i - 1]; LOOK").replace("LOOK", "sum += t[h]; t[h] += 1;")
    seen = called(
        f"static float t[99]; double run(const uint16_t *tokens, int n) {{ int i; uint64_t h; double sum = 0; {body} return sum; }}"
    )
    assert keys(seen)[0] == [{0, 1}]
    assert seen.updates


@pytest.mark.parametrize(
    "look",
    [
        "sum += *(t + h);",
        "float *row = t + h; sum += row[3];",
        "float *row = &t[h]; sum += *row;",
        "struct E { float c; int k; }; struct E *e = (struct E *)malloc(n * sizeof(struct E)); sum += e[h].c;",
        "sum += at(t, h);",
        "sum += first(&t[h]);",
        "sum += first(t + h);",
        "sum += *slot(t, h);",
        "float got; fetch(t, h, &got); sum += got;",
        "sum += h > 7 ? t[h] : 0.5f;",
        "switch (n) { case 1: sum += 1; break; default: sum += t[h]; }",
        "if (n > 3 && t[h] > 1) sum += 1;",
        "sum += NEAR(t, h);",
    ],
)
def test_a_table_is_looked_up_however_it_is_reached(look: str) -> None:
    source = """
        #define NEAR(table, place) ((table)[(place)])
        static float at(float *table, uint64_t k) { return table[k]; }
        static float first(const float *x) { return *x; }
        static float *slot(float *table, uint64_t k) { return &table[k]; }
        static void fetch(float *table, uint64_t k, float *out) { if (k == 0) return; *out = table[k]; }
        double run(const uint16_t *tokens, int n) {
            double sum = 0;
            float *t = (float *)calloc(1 << 20, sizeof(float));
            uint64_t h = (tokens[1] * 31) ^ tokens[0];
            LOOK
            free(t);
            return sum;
        }
    """
    assert [{0, 1}] in keys(called(source.replace("LOOK", look)))


def test_a_flat_index_names_a_row_and_a_column() -> None:
    source = "double run(const uint16_t *t, int n) { static float x[9]; return x[t[1] * 31 + t[0]]; }"
    assert keys(called(source)) == [[{1}, {0}]]


STATE = """
    typedef struct { uint64_t key; uint32_t total; uint16_t top; } Entry;
    typedef struct { Entry *entries; uint8_t *used; size_t mask; uint64_t hash; int seen; } State;

    static void *checked(size_t count, size_t size) { return count ? calloc(count, size) : NULL; }
    static size_t find(const Entry *entries, const uint8_t *used, size_t mask, uint64_t key, int *found) {
        size_t at = (key * 31) & mask;
        for (size_t probe = 0; probe <= mask; ++probe) {
            if (!used[at]) { *found = 0; return at; }
            if (entries[at].key == key) { *found = 1; return at; }
            at = (at + 1) & mask;
        }
        *found = -1;
        return 0;
    }
    void *create(int bits) {
        State *s = (State *)calloc(1, sizeof(State));
        if (!s) return NULL;
        s->mask = (1u << bits) - 1;
        s->entries = (Entry *)checked(s->mask + 1, sizeof(Entry));
        s->used = (uint8_t *)checked(s->mask + 1, 1);
        return s;
    }
    int process(void *handle, const uint16_t *tokens, int n, float *out) {
        State *s = (State *)handle;
        for (int i = 0; i < n; i++) {
            int found;
            size_t at = find(s->entries, s->used, s->mask, s->hash, &found);
            if (s->seen >= 4) out[i] = found > 0 ? s->entries[at].total : 0.0f;
            if (found < 0) return -1;
            s->used[at] = 1;
            s->entries[at].key = s->hash;
            s->entries[at].total += 1;
            s->hash = s->hash * 31 + tokens[i];
            s->seen++;
        }
        return 0;
    }
"""


def test_the_state_of_a_handle_lives_on_from_token_to_token() -> None:
    seen = called(
        STATE,
        """
        out = np.zeros(100)
        state = lib.create(20)
        lib.process(state, val, val.numel(), out)
        total = out.sum()
        """,
    )
    assert {event.place.spot[1] for event in seen.lookups} >= {9, 10, 29}
    assert {event.place.spot[1] for event in seen.updates} >= {31, 32, 33}
    assert not seen.problems


CLASSES = """
    #include <vector>
    namespace ngram {
    struct Slot { uint32_t count = 0; uint16_t best; void bump() { count++; } };
    template <typename T> static inline T mix(T a, T b) { return a * 31 ^ b; }
    class Table {
        static constexpr int SIZE = 1 << 20;
        std::vector<Slot> slots_;
        const int64_t* tokens_ = nullptr;
        int order_;
    public:
        Table(int order = 2) : slots_(SIZE), order_(order) {}
        void set(const int64_t* tokens) { tokens_ = tokens; }
        void look(size_t i, uint32_t& count, int& best) const {
            if (i < 1) { count = 0; return; }
            const Slot& slot = slots_[key(i)];
            count = slot.count; best = slot.best;
        }
        double run(int n) {
            double sum = 0.0;
            for (int i = 1; i < n; i++) {
                uint32_t c; int b;
                look(i, c, b);
                sum += c;
                slots_[key(i)].bump();
                auto& entry = slots_[key(i)];
                entry.best = static_cast<uint16_t>(tokens_[i]);
            }
            return sum;
        }
        uint64_t key(size_t i) const { return mix<uint64_t>(tokens_[i], tokens_[i - 1]) % SIZE; }
    };
    }
    extern "C" {
    void* table_new(int order) { return new ngram::Table(order); }
    void table_set(void* self, const int64_t* t) { static_cast<ngram::Table*>(self)->set(t); }
    double table_run(void* self, int n) { return reinterpret_cast<ngram::Table*>(self)->run(n); }
    }
    NB_MODULE(fast, m) {
        nb::class_<ngram::Table>(m, "PyTable").def(nb::init<int>()).def("go", &ngram::Table::run).def("set", &ngram::Table::set);
        m.def("fresh", &table_new, "order"_a);
        m.def("twice", [](int x) { return 2 * x; });
    }
"""


@pytest.mark.parametrize(
    "caller",
    [
        "t = lib.table_new(2); lib.table_set(t, val); total = lib.table_run(t, 100)",
        "t = lib.PyTable(2); t.set(val); total = t.go(100)",
        "t = lib.fresh(lib.twice(1)); t.set(val); total = t.run(100)",
    ],
)
def test_classes_methods_and_bindings(caller: str) -> None:
    seen = called(CLASSES, caller)
    assert [{0, 1}] in [[part for part in key if part] for key in keys(seen)]
    assert {event.place.spot[1] for event in seen.updates} >= {4, 27}


def test_macros_enums_and_constants_are_known() -> None:
    body = lower_native(
        dedent("""
        #define ORDER 0x10
        #define NEXT (ORDER + 1)
        #define HALF(x) ((x) / 2)
        enum Kind { FIRST, SECOND = 7, THIRD };
        static const uint64_t MIX = 0x9E3779B185EBCA87ULL;
        static const float RATE = 0.5f;
    """),
        "c",
    ).body
    named = {
        node.targets[0].id: node
        for node in body
        if isinstance(node, ir.Assign) and isinstance(node.targets[0], ir.Name)
    }
    values = {name: node.value.value for name, node in named.items() if isinstance(node.value, ir.Const)}
    assert values == {
        "ORDER": 16, "FIRST": 0, "SECOND": 7, "THIRD": 8, "MIX": 0x9E3779B185EBCA87, "RATE": 0.5,
    }  # fmt: skip
    assert isinstance(named["NEXT"].value, ir.Binary)
    assert [node.line for node in named.values()] == [2, 3, 5, 5, 5, 6, 7]
    assert [node.name for node in body if isinstance(node, ir.Function)] == ["HALF"]


def test_constants_of_c_reach_what_is_printed() -> None:
    seen = called(
        """
        #define SCALE 4
        enum { EXTRA = 2 };
        static int calls = 0;
        int run(const uint16_t *t, int n) {
            int x = SCALE;
            calls += 1;
            x <<= 1; x++; --x;
            int y = x++ + EXTRA;
            printf("%d of %d: %.3f\\n", y, x, (float)3 / 2);
            return (int)3.7;
        }
        """
    )
    assert "10 of 9: 1.5" in [report.template for report in seen.reports]


def test_a_loop_knows_the_names_that_it_carries() -> None:
    function = function_of(
        "int f(int n) { int a = 0, b = 0; for (int i = 0; i < n; i++) { a += i; b = a++; g(&a); } return b; }"
    )
    (loop,) = [node for node in function.body if isinstance(node, ir.For)]
    assert {"a", "b"} <= loop.carried
    assert isinstance(loop.iterable, ir.Call)
    assert isinstance(loop.iterable.func, ir.Name)
    assert loop.iterable.func.id == "range"


def test_a_loop_that_changes_its_variable_is_not_counted() -> None:
    function = function_of("int f(int n) { for (int i = 0; i < n; i++) { if (n) { continue; } i += 2; } return n; }")
    (loop,) = [node for node in function.body if isinstance(node, ir.While)]
    assert "i" in loop.carried
    (test, *_, step) = loop.body
    assert isinstance(test, ir.If)
    assert [type(node) for node in test.body] == [ir.AugAssign, ir.Jump]
    assert isinstance(step, ir.AugAssign)


def test_the_first_branch_of_a_conditional_counts() -> None:
    function = function_of(
        "int f(void) {\n#if 0\n return 1;\n#elif defined(X)\n return 2;\n#else\n return 3;\n#endif\n}"
    )
    returned = [
        node.value.value for node in function.body if isinstance(node, ir.Return) and isinstance(node.value, ir.Const)
    ]
    assert returned[:1] == [2]


def test_what_is_not_understood_keeps_its_operands() -> None:
    seen = called("double run(const uint16_t *t, int n) { float x[9]; return x[frob(t[1])] + vld1q_f32(x)[t[2]]; }")
    assert keys(seen) == [[{1}], [{2}]]


def test_names_that_hide_others_are_kept_apart() -> None:
    seen = called(
        "double run(const uint16_t *t, int n) { float x[9]; int k = t[1]; { int k = 3; k++; } int len = k; return x[len]; }"
    )
    assert keys(seen) == [[{1}]]


@pytest.mark.parametrize("seed", range(40))
def test_broken_sources_lower_all_the_same(seed: int) -> None:
    rng = random.Random(seed)
    source = list(dedent(rng.choice([BIGRAMS, STATE, CLASSES])))
    for _ in range(12):
        at = rng.randrange(len(source))
        if rng.random() < 0.5:
            del source[at : at + rng.randrange(1, 9)]
        else:
            source[at:at] = rng.choice(
                ["(", ")", "{", "}", "*", "&", "->", "<", ";", ",", "struct ", "for (", "#if ", "= {", '"']
            )
    text = "".join(source)
    module = lower_native(text, "broken")
    walk(module)
    lines = [part.line for part in ir.nodes(module.body) if isinstance(part, ir.Node)]
    assert all(1 <= line <= text.count("\n") + 1 for line in lines)


def test_nothing_is_a_module_too() -> None:
    assert all(isinstance(node, ir.Import) for node in lower_native("", "empty").body)


# --- helpers ---------------------------------------------------------------------------------------------------------


def called(source: str, caller: str = "total = lib.run(val, 100)") -> Walk:
    """Walk a script that calls the module ``lib`` made of a C source."""
    module = lower_native(dedent(source), "lib")
    script = PRELUDE + "import lib\n" + dedent(caller) + PRINT
    return walk(lower(libcst.parse_module(script)), sibling=lambda name: module if name == "lib" else None)


def keys(seen: Walk) -> list[list[set[int]]]:
    """The constant parts of the token addresses in each component of each lookup."""
    return [
        [
            {label.start.constant for label in seen.labels.of(part, Token) if label.start is not None}
            for part in event.components
        ]
        for event in seen.lookups
    ]


def places(seen: Walk) -> set[tuple[str, int]]:
    """Where state changed."""
    return {event.place.spot for event in seen.updates}


def function_of(source: str) -> ir.Function:
    """The only function of a source."""
    (function,) = [node for node in lower_native(source, "c").body if isinstance(node, ir.Function)]
    return function
