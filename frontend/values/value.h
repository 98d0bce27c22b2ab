// The values of a script: 16 bytes, small ones in place, the others as counted references to objects.
#pragma once

#include <bit>
#include <cassert>
#include <concepts>
#include <cstdint>
#include <iterator>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/device.h"
#include "runtime/dtype.h"
#include "runtime/function_ref.h"
#include "runtime/ref.h"

namespace tenon {

/// What a value is. Up to `ellipsis` it lies in the Value itself, from `string` on it is an Object.
enum class Kind : uint8_t {
    unset,  ///< no value at all: a variable before its assignment, an argument that was not given
    none,
    boolean,
    integer,
    real,
    dtype,
    device,
    ellipsis,
    string,
    list,
    tuple,
    dict,
    range,
    function,
    bound_method,
    builtin,
    model_class,
    model,
    tensor,
    symbolic,  ///< a host number known at run time of a graph only: a symbolic size, a deferred item()
    slice,
    record,
    iterator,
    graph,
    node,
    cell,
    other,  ///< objects only their own built-ins know
};
inline constexpr int kind_count = static_cast<int>(Kind::other) + 1;

/// As messages and `type(x)` spell it: "int", "str", "tensor".
std::string_view name_of(Kind kind);
/// "a str", "an int", "none"
std::string with_article(Kind kind);
/// "an f32[3]", as it is said, "a u8[2]".
std::string with_article(std::string_view noun);

class Evaluator;
class Value;
struct KeywordArgument;

/// Base of everything a Value refers to. Objects belong to the thread of their session.
class Object : public ThreadBound {
public:
    Kind kind() const { return kind_; }

    // What a script may do to an object that the evaluator does not know itself (graph, node, other).
    /// `x.name`: into `value`; false where there is no such field.
    virtual bool get_attribute(Evaluator& evaluator, std::string_view name, Value& value);
    /// `x.name = value`; false where there is no such field, or it only reads.
    virtual bool set_attribute(Evaluator& evaluator, std::string_view name, const Value& value);
    /// `x[key]`; false where it has no items.
    virtual bool get_item(Evaluator& evaluator, const Value& key, Value& value);
    virtual bool set_item(Evaluator& evaluator, const Value& key, const Value& value);
    /// `x(…)`; false where it cannot be called.
    virtual bool call(Evaluator& evaluator, std::span<const Value> positional,
                      std::span<const KeywordArgument> keywords, Value& result);
    /// What print shows; empty: `<kind>`.
    virtual std::string to_text(Evaluator& evaluator);

    /// Calls `visit` with every Value it holds: what the cycle collector walks.
    virtual void visit_children(FunctionRef<void(const Value&)> visit) const;
    /// Lets go of everything it holds; called on garbage only, so what remains need not be useful.
    virtual void drop_children();
    /// Moves everything it holds to the end of `into`, where another owner lets go of it; what remains is empty.
    virtual void take_children(std::vector<Value>& into);

protected:
    explicit Object(Kind kind) : kind_(kind) {}

private:
    friend class Value;  // which counts

    const Kind kind_;
};

class Value {
public:
    Value() = default;
    Value(std::same_as<bool> auto value) : kind_(Kind::boolean), word_(value) {}
    template <std::integral T>
        requires(!std::same_as<T, bool>)
    Value(T value) : kind_(Kind::integer), word_(static_cast<uint64_t>(value)) {}
    Value(std::floating_point auto value) : kind_(Kind::real), word_(std::bit_cast<uint64_t>(double{value})) {}
    Value(DType value) : kind_(Kind::dtype), word_(static_cast<uint64_t>(value)) {}
    Value(Device value) : kind_(Kind::device), word_((static_cast<uint64_t>(value.index) << 8) | value.kind) {}
    template <std::derived_from<Object> T>
    Value(Ref<T> object) : kind_(object->kind()), word_(word_of(object.detach())) {}
    /// Another reference to an object that somebody holds already.
    explicit Value(Object& object) : kind_(object.kind()), word_(word_of(&object)) { object.retain(); }
    static Value unset() { return Value(Kind::unset, 0); }
    static Value ellipsis() { return Value(Kind::ellipsis, 0); }

    // What every step of an evaluation does, many times.
    [[gnu::always_inline]] Value(const Value& other) : kind_(other.kind_), word_(other.word_) {
        if (is_object()) object().retain();
    }
    [[gnu::always_inline]] Value(Value&& other) noexcept
        : kind_(std::exchange(other.kind_, Kind::none)), word_(std::exchange(other.word_, 0)) {}
    [[gnu::always_inline]] ~Value() {
        if (is_object()) object().release();
    }
    [[gnu::always_inline]] Value& operator=(const Value& other) { return *this = Value(other); }
    // The old object is released last: its destructor may run code that looks at this value.
    [[gnu::always_inline]] Value& operator=(Value&& other) noexcept {
        if (this == &other) return *this;
        const Value old = std::move(*this);
        kind_ = std::exchange(other.kind_, Kind::none);
        word_ = std::exchange(other.word_, 0);
        return *this;
    }

    Kind kind() const { return kind_; }
    bool is(Kind kind) const { return kind_ == kind; }
    bool is_none() const { return kind_ == Kind::none; }
    bool is_unset() const { return kind_ == Kind::unset; }
    bool is_bool() const { return kind_ == Kind::boolean; }
    bool is_int() const { return kind_ == Kind::integer; }
    bool is_number() const { return kind_ == Kind::integer || kind_ == Kind::real; }
    bool is_tensor() const { return kind_ == Kind::tensor; }
    bool is_symbolic() const { return kind_ == Kind::symbolic; }
    bool is_object() const { return kind_ >= Kind::string; }
    template <class T> bool is() const { return kind_ == T::class_kind; }

    bool as_bool() const {
        assert(is_bool());
        return word_ != 0;
    }
    int64_t as_int() const {
        assert(is_int());
        return static_cast<int64_t>(word_);
    }
    double as_real() const {
        assert(is(Kind::real));
        return std::bit_cast<double>(word_);
    }
    /// Of an int or a float.
    double as_number() const { return is_int() ? static_cast<double>(as_int()) : as_real(); }
    DType as_dtype() const {
        assert(is(Kind::dtype));
        return static_cast<DType>(word_);
    }
    Device as_device() const {
        assert(is(Kind::device));
        return {static_cast<Device::Kind>(word_ & 0xff), static_cast<int16_t>(static_cast<int64_t>(word_) >> 8)};
    }
    Object& object() const {
        assert(is_object());
        return *reinterpret_cast<Object*>(word_);
    }
    /// The object, known to be a T.
    template <class T> T& as() const {
        assert(is<T>());
        return static_cast<T&>(object());
    }
    /// The object if it is a T, else null.
    template <class T> T* try_as() const { return is<T>() ? static_cast<T*>(&object()) : nullptr; }
    template <class T> Ref<T> ref() const { return Ref<T>(&as<T>()); }

    /// A bool, int or float as a plain word (of a float its bits), and back.
    uint64_t word() const {
        assert(!is_object());
        return word_;
    }
    static Value of_word(Kind kind, uint64_t word) {
        assert(kind < Kind::string);
        return Value(kind, word);
    }

private:
    Value(Kind kind, uint64_t word) : kind_(kind), word_(word) {}
    static uint64_t word_of(Object* object) { return reinterpret_cast<uintptr_t>(object); }

    Kind kind_ = Kind::none;
    uint64_t word_ = 0;  // the small value, or where the object is
};
static_assert(sizeof(Value) == 16);

using Values = std::vector<Value>;

/// `is` of the language: the same object, or the same small value.
inline bool identical(const Value& a, const Value& b) {
    if (a.kind() != b.kind()) return false;
    return a.is_object() ? &a.object() == &b.object() : a.word() == b.word();
}

/// A keyword argument of a call made from C++.
struct KeywordArgument {
    std::string_view name;
    Value value;
};

/// A container that may be part of a cycle. Once a container has been stored into it, it hangs in its session's list of
/// suspects (collector.h) until it dies.
class Container : public Object {
public:
    ~Container() override { unlink(); }
    void drop_children() override { dismantle(); }
    bool is_suspect() const { return next_ != nullptr; }

protected:
    explicit Container(Kind kind) : Object(kind) {}
    /// What destructors call: lets go of the children without a recursion as deep as they are nested.
    void dismantle();
    /// Whether a child can have children: without one there is nothing to dismantle.
    static bool can_nest(const Value& child);
    static bool can_nest(const std::vector<Value>& children);

private:
    friend class Collector;
    void unlink() {
        if (!next_) return;
        previous_->next_ = next_;
        next_->previous_ = previous_;
        next_ = previous_ = nullptr;
    }

    Container* previous_ = nullptr;
    Container* next_ = nullptr;
};

/// A text never changes while anybody but its one holder can see it.
class StringObject final : public Object {
public:
    static constexpr Kind class_kind = Kind::string;
    explicit StringObject(std::string_view value) : Object(class_kind), text_(value) {}
    explicit StringObject(std::string&& value) : Object(class_kind), text_(std::move(value)) {}

    const std::string& text() const { return text_; }  ///< UTF-8
    /// How many characters (code points): counted once.
    int64_t characters() const { return characters_ < 0 ? count() : characters_; }
    /// As in ASCII text: positions of characters are positions of bytes.
    bool bytes_are_characters() const { return static_cast<size_t>(characters()) == text_.size(); }
    /// What dicts use: made once.
    uint64_t hash() const { return hash_ == 0 ? make_hash() : hash_; }
    /// Adds at the end, in place: for the one holder.
    void append(const StringObject& more);

private:
    int64_t count() const;
    uint64_t make_hash() const;

    std::string text_;
    mutable int64_t characters_ = -1;
    mutable uint64_t hash_ = 0;  // 0: not made yet
};

class ListObject final : public Container {
public:
    static constexpr Kind class_kind = Kind::list;
    ListObject() : Container(class_kind) {}
    explicit ListObject(Values values) : Container(class_kind), items(std::move(values)) {}
    ~ListObject() override {
        if (can_nest(items)) dismantle();
    }
    void visit_children(FunctionRef<void(const Value&)> visit) const override;
    void take_children(Values& into) override;

    Values items;
};

class TupleObject final : public Container {
public:
    static constexpr Kind class_kind = Kind::tuple;
    explicit TupleObject(Values values) : Container(class_kind), items(std::move(values)) {}
    ~TupleObject() override {
        if (can_nest(items)) dismantle();
    }
    void visit_children(FunctionRef<void(const Value&)> visit) const override;
    void take_children(Values& into) override;

    Values items;
};

/// A dict: insertion order, keys by value where they have one (str, int, bool, none, dtype, tuples of these), else by
/// identity.
class DictObject final : public Container {
public:
    static constexpr Kind class_kind = Kind::dict;
    struct Entry {
        Value key, value;
        uint64_t hash;
        bool is_there() const { return !key.is_unset(); }
    };
    /// The entries in the order in which they came.
    class Entries {
    public:
        class Iterator {
        public:
            explicit Iterator(const std::vector<Entry>& all) : all_(all) { skip(); }
            const Entry& operator*() const { return all_[at_]; }
            const Entry* operator->() const { return &all_[at_]; }
            Iterator& operator++() {
                ++at_;
                skip();
                return *this;
            }
            bool operator==(std::default_sentinel_t) const { return at_ >= all_.size(); }

        private:
            void skip() {
                while (at_ < all_.size() && !all_[at_].is_there()) ++at_;
            }
            const std::vector<Entry>& all_;
            size_t at_ = 0;
        };
        explicit Entries(const std::vector<Entry>& all) : all_(all) {}
        Iterator begin() const { return Iterator(all_); }
        static std::default_sentinel_t end() { return {}; }
        /// Walks there.
        const Entry& operator[](size_t position) const;

    private:
        const std::vector<Entry>& all_;
    };

    DictObject() : Container(class_kind) {}
    ~DictObject() override { dismantle(); }
    void visit_children(FunctionRef<void(const Value&)> visit) const override;
    void take_children(Values& into) override;

    /// Null when the key is not there. Throws Error "key" for a value that cannot be a key.
    Value* find(const Value& key);
    const Value* find(const Value& key) const { return const_cast<DictObject*>(this)->find(key); }
    Value* find(std::string_view key);
    /// The same for the keys that scripts use most.
    Value* find_simple(const Value& key) { return is_simple(key) ? find(key) : nullptr; }
    static bool is_simple(const Value& key) { return key.is(Kind::string) || key.is_int(); }
    /// Adds the key at the end or replaces its value.
    void set(const Value& key, Value value);
    void set(std::string_view key, Value value);
    /// Takes the key out; false when it is not there.
    bool remove(const Value& key);
    /// Puts an entry at a position: undoes `remove`.
    void insert_at(size_t position, Value key, Value value);
    size_t position_of(const Value& key) const;
    /// Takes the last entries out, all but the first `count`.
    void truncate(size_t count);
    void swap(DictObject& other);
    void clear();
    size_t size() const { return entries_.size() - gone_; }
    Entries entries() const { return Entries(entries_); }
    Value& value_at(size_t position);

private:
    size_t lookup(const Value& key, uint64_t hash) const;
    void rebuild();
    void close_up();

    std::vector<Entry> entries_;   // those that were taken out stay, without a key, until they are the half
    size_t gone_ = 0;              // how many those are
    std::vector<uint32_t> table_;  // open addressing, entry + 1, 0 empty; none while there are few entries
};

/// The hash dicts use. Throws Error "key" for a value that cannot be a key.
uint64_t hash_key(const Value& key);
/// Equality of keys: by value where keys have one, else identity.
bool equal_keys(const Value& a, const Value& b);

class RangeObject final : public Object {
public:
    static constexpr Kind class_kind = Kind::range;
    RangeObject(int64_t start_, int64_t stop_, int64_t step_)
        : Object(class_kind), start(start_), stop(stop_), step(step_) {}
    int64_t size() const;
    int64_t at(int64_t position) const { return start + position * step; }

    const int64_t start, stop, step;
};

/// `a:b:c` of an index; each part a number or none.
class SliceObject final : public Container {
public:
    static constexpr Kind class_kind = Kind::slice;
    SliceObject(Value start_, Value stop_, Value step_)
        : Container(class_kind), start(std::move(start_)), stop(std::move(stop_)), step(std::move(step_)) {}
    ~SliceObject() override {
        if (can_nest(start) || can_nest(stop) || can_nest(step)) dismantle();
    }
    void visit_children(FunctionRef<void(const Value&)> visit) const override;
    void take_children(Values& into) override;

    Value start, stop, step;
};

/// Named fields that only read: `stats()`, an error, the result of a built-in with several parts.
class RecordObject final : public Container {
public:
    static constexpr Kind class_kind = Kind::record;
    using Field = std::pair<std::string, Value>;
    explicit RecordObject(std::string name_, std::vector<Field> fields_)
        : Container(class_kind), name(std::move(name_)), fields(std::move(fields_)) {}
    ~RecordObject() override { dismantle(); }
    void visit_children(FunctionRef<void(const Value&)> visit) const override;
    void take_children(Values& into) override;
    const Value* find(std::string_view field) const;

    const std::string name;  ///< what it prints as: "stats"
    std::vector<Field> fields;
    std::string text;  ///< printed instead of the fields where not empty
};

/// What `for` asks for the next value.
class IteratorObject : public Container {
public:
    static constexpr Kind class_kind = Kind::iterator;
    /// False at the end; then `value` is untouched.
    virtual bool next(Evaluator& evaluator, Value& value) = 0;
    /// How many iterators it stands on.
    int height() const { return height_; }

protected:
    IteratorObject() : Container(class_kind) {}
    /// Throws Error "recursion" where towers of iterators get too high.
    void stand_on(const IteratorObject& source);

private:
    int height_ = 0;
};

/// A variable that a closure shares with the frame that made it.
class CellObject final : public Container {
public:
    static constexpr Kind class_kind = Kind::cell;
    CellObject() : Container(class_kind), value(Value::unset()) {}
    explicit CellObject(Value initial) : Container(class_kind), value(std::move(initial)) {}
    ~CellObject() override {
        if (can_nest(value)) dismantle();
    }
    void visit_children(FunctionRef<void(const Value&)> visit) const override { visit(value); }
    void take_children(Values& into) override { into.push_back(std::exchange(value, Value::unset())); }

    Value value;
};

inline bool Container::can_nest(const Value& child) {
    switch (child.kind()) {
        case Kind::list:
        case Kind::tuple:
        case Kind::dict:
        case Kind::function:
        case Kind::bound_method:
        case Kind::model_class:
        case Kind::model:
        case Kind::slice:
        case Kind::record:
        case Kind::iterator:
        case Kind::cell:
        case Kind::other: return true;
        default: return false;
    }
}

inline bool Container::can_nest(const Values& children) {
    for (const Value& child : children) {
        if (can_nest(child)) return true;
    }
    return false;
}

/// A str, and the text of one.
inline Value make_text(std::string_view text) { return make_ref<StringObject>(text); }
inline const std::string& text_of(const Value& value) { return value.as<StringObject>().text(); }
/// A list, a tuple of `values`.
inline Value make_list(Values values) { return make_ref<ListObject>(std::move(values)); }
inline Value make_tuple(Values values) { return make_ref<TupleObject>(std::move(values)); }
/// A list or tuple's items; null for anything else.
inline Values* items_of(const Value& value) {
    if (auto* list = value.try_as<ListObject>()) return &list->items;
    if (auto* tuple = value.try_as<TupleObject>()) return &tuple->items;
    return nullptr;
}

}  // namespace tenon
