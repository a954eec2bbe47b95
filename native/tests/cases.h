// The cases of java/testkit's cases.txt, as that file describes them. Needs nothing else, so that tests of other
// devices can read them too.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace demitasse::test {

enum class Fill { RANDOM, MAXIMUM, MINIMUM, ZERO };

struct LayoutCase {
    std::string element;
    int64_t group;  // columns that share a scale; 0: none, ROW_GROUP: all
    bool minimum;
};

constexpr int64_t ROW_GROUP = -1;

struct LinearCase {
    int64_t rows;
    int64_t outputs;
    int64_t columns;
    Fill fill;
    bool bias;
};

struct AttentionCase {
    int64_t heads;
    int64_t kv_heads;
    int64_t head_dim;
    int64_t window;
    int64_t ahead;
    float soft_cap;
    std::vector<int32_t> past;  // positions before the new rows, of each sequence
    std::vector<int32_t> rows;
};

struct Cases {
    std::vector<LayoutCase> layouts;
    std::vector<LinearCase> linear;
    std::vector<AttentionCase> attention;
    std::vector<int64_t> lengths;
};

// The words of one line; a word that is not what it should be ends the program with the line's number.
class CaseLine {
   public:
    CaseLine(const std::string& file, int number, const std::string& text) : file_(file), number_(number), text_(text) {
        std::istringstream words(text.substr(0, text.find('#')));
        for (std::string word; words >> word;) {
            words_.push_back(word);
        }
    }

    bool empty() const { return words_.empty(); }
    bool more() const { return at_ < words_.size(); }

    std::string word() {
        if (!more()) {
            fail("more words were expected");
        }
        return words_[at_++];
    }

    int64_t number() { return integer(word()); }

    float real() {
        const std::string from = word();
        char* end = nullptr;
        const float value = std::strtof(from.c_str(), &end);
        if (*end != 0) {
            fail("a number was expected, not " + from);
        }
        return value;
    }

    std::vector<int32_t> numbers() {
        std::vector<int32_t> values;
        std::istringstream parts(word());
        for (std::string part; std::getline(parts, part, ',');) {
            values.push_back(static_cast<int32_t>(integer(part)));
        }
        return values;
    }

    // Whether the last word is there.
    bool option(const std::string& expected) {
        if (more() && words_[at_] != expected) {
            fail(expected + " was expected, not " + words_[at_]);
        }
        return more() && ++at_ != 0;
    }

    [[noreturn]] void fail(const std::string& what) const {
        std::fprintf(stderr, "%s, line %d: \"%s\": %s\n", file_.c_str(), number_, text_.c_str(), what.c_str());
        std::exit(2);
    }

   private:
    int64_t integer(const std::string& from) const {
        char* end = nullptr;
        const int64_t value = std::strtoll(from.c_str(), &end, 10);
        if (from.empty() || *end != 0) {
            fail("an integer was expected, not " + from);
        }
        return value;
    }

    std::string file_;
    int number_;
    std::string text_;
    std::vector<std::string> words_;
    size_t at_ = 0;
};

inline LayoutCase read_layout(CaseLine& line) {
    LayoutCase c{line.word(), 0, false};
    if (line.more()) {
        const std::string group = line.word();
        c.group = group == "row" ? ROW_GROUP : std::atoll(group.c_str());
        if (c.group == 0) {
            line.fail(group + " is no group");
        }
    }
    c.minimum = line.option("minimum");
    return c;
}

inline LinearCase read_linear(CaseLine& line) {
    LinearCase c{line.number(), line.number(), line.number(), Fill::RANDOM, false};
    const std::string fill = line.word();
    const char* names[] = {"RANDOM", "MAXIMUM", "MINIMUM", "ZERO"};
    int at = 0;
    while (at < 4 && fill != names[at]) {
        at++;
    }
    if (at == 4) {
        line.fail(fill + " is no fill");
    }
    c.fill = static_cast<Fill>(at);
    c.bias = line.option("bias");
    return c;
}

inline AttentionCase read_attention(CaseLine& line) {
    AttentionCase c{line.number(), line.number(), line.number(),  line.number(),
                    line.number(), line.real(),   line.numbers(), line.numbers()};
    if (c.past.size() != c.rows.size()) {
        line.fail("as many numbers of new rows as of positions before were expected");
    }
    return c;
}

// All cases of the file; benchmarks are left out.
inline Cases read_cases(const std::string& file) {
    std::ifstream in(file);
    if (!in) {
        std::fprintf(stderr, "%s: cannot be read\n", file.c_str());
        std::exit(2);
    }
    Cases cases;
    int number = 0;
    for (std::string text; std::getline(in, text);) {
        CaseLine line(file, ++number, text);
        if (line.empty()) {
            continue;
        }
        const std::string kind = line.word();
        if (kind == "layout") {
            cases.layouts.push_back(read_layout(line));
        } else if (kind == "linear") {
            cases.linear.push_back(read_linear(line));
        } else if (kind == "attention") {
            cases.attention.push_back(read_attention(line));
        } else if (kind == "length") {
            cases.lengths.push_back(line.number());
        } else if (kind == "benchmark") {
            continue;
        } else {
            line.fail(kind + " is no kind of case");
        }
        if (line.more()) {
            line.fail("fewer words were expected");
        }
    }
    return cases;
}

}  // namespace demitasse::test
