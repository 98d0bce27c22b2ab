#include "frontend/values/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include <new>
#include "runtime/diagnostic.h"

namespace tenon {

std::string_view name_of(Kind kind) {
    switch (kind) {
        case Kind::unset: return "nothing";
        case Kind::none: return "none";
        case Kind::boolean: return "bool";
        case Kind::integer: return "int";
        case Kind::real: return "float";
        case Kind::dtype: return "dtype";
        case Kind::device: return "device";
        case Kind::ellipsis: return "ellipsis";
        case Kind::string: return "str";
        case Kind::list: return "list";
        case Kind::tuple: return "tuple";
        case Kind::dict: return "dict";
        case Kind::range: return "range";
        case Kind::function:
        case Kind::bound_method:
        case Kind::builtin: return "function";
        case Kind::model_class: return "model class";
        case Kind::model: return "model";
        case Kind::tensor: return "tensor";
        case Kind::symbolic: return "int";
        case Kind::slice: return "slice";
        case Kind::record: return "record";
        case Kind::iterator: return "iterator";
        case Kind::graph: return "graph";
        case Kind::node: return "node";
        case Kind::cell: return "variable";
        case Kind::other: break;
    }
    return "object";
}

std::string with_article(std::string_view noun) {
    const bool is_said_eff = noun.size() > 1 && noun[0] == 'f' && noun[1] >= '0' && noun[1] <= '9';
    const bool is_vowel = !noun.empty() && std::string_view("aeio").find(noun[0]) != std::string_view::npos;
    return (is_vowel || is_said_eff ? "an " : "a ") + std::string(noun);
}

std::string with_article(Kind kind) {
    return kind == Kind::none ? std::string(name_of(kind)) : with_article(name_of(kind));
}

bool Object::get_attribute(Evaluator&, std::string_view, Value&) { return false; }
bool Object::set_attribute(Evaluator&, std::string_view, const Value&) { return false; }
bool Object::get_item(Evaluator&, const Value&, Value&) { return false; }
bool Object::set_item(Evaluator&, const Value&, const Value&) { return false; }
bool Object::call(Evaluator&, std::span<const Value>, std::span<const KeywordArgument>, Value&) { return false; }
std::string Object::to_text(Evaluator&) { return {}; }

void Object::visit_children(FunctionRef<void(const Value&)>) const {}
void Object::drop_children() {}
void Object::take_children(Values&) {}

namespace {

void visit_all(const Values& values, FunctionRef<void(const Value&)> visit) {
    for (const Value& value : values) visit(value);
}

void take_all(Values& values, Values& into) {
    if (into.empty()) return into.swap(values);  // the usual case, which takes no memory
    into.insert(into.end(), std::make_move_iterator(values.begin()), std::make_move_iterator(values.end()));
    values.clear();
}

}  // namespace

void Container::dismantle() {
    // A list of lists of lists … dies from the outside in: whoever would be the last owner of a container takes its
    // children over first.
    Values orphans;
    try {
        take_children(orphans);
        while (!orphans.empty()) {
            Value value = std::move(orphans.back());
            orphans.pop_back();
            if (value.is_object() && value.object().use_count() == 1) value.object().take_children(orphans);
        }
    } catch (const std::bad_alloc&) {
        // The end of memory is when lists are let go: those that are left die from the inside out, a call deeper for each
        // level, and each takes over its own children's.
    }
}

void IteratorObject::stand_on(const IteratorObject& source) {
    constexpr int highest = 1000;  // each level is a call deeper
    height_ = std::max(height_, source.height_ + 1);
    if (height_ > highest)
        throw_error("recursion", "iterators stand on iterators too high", "list(…) collects the values");
}

void ListObject::visit_children(FunctionRef<void(const Value&)> visit) const { visit_all(items, visit); }
void ListObject::take_children(Values& into) { take_all(items, into); }
void TupleObject::visit_children(FunctionRef<void(const Value&)> visit) const { visit_all(items, visit); }
void TupleObject::take_children(Values& into) { take_all(items, into); }

void SliceObject::visit_children(FunctionRef<void(const Value&)> visit) const {
    for (const Value* part : {&start, &stop, &step}) visit(*part);
}
void SliceObject::take_children(Values& into) {
    for (Value* part : {&start, &stop, &step}) into.push_back(std::exchange(*part, {}));
}

void RecordObject::visit_children(FunctionRef<void(const Value&)> visit) const {
    for (const auto& [name, value] : fields) visit(value);
}
void RecordObject::take_children(Values& into) {
    for (auto& [name, value] : fields) into.push_back(std::move(value));
    fields.clear();
}

const Value* RecordObject::find(std::string_view field) const {
    for (const auto& [name, value] : fields) {
        if (name == field) return &value;
    }
    return nullptr;
}

int64_t RangeObject::size() const {
    // In unsigned arithmetic: the distance may exceed the largest int.
    uint64_t first = static_cast<uint64_t>(start), last = static_cast<uint64_t>(stop);
    if (step > 0) return start >= stop ? 0 : static_cast<int64_t>((last - first - 1) / static_cast<uint64_t>(step) + 1);
    return start <= stop ? 0
                         : static_cast<int64_t>((first - last - 1) / (uint64_t{0} - static_cast<uint64_t>(step)) + 1);
}

// ---- dict ---------------------------------------------------------------------------------------------------------

namespace {

constexpr size_t npos = SIZE_MAX;
constexpr size_t linear_limit = 8;  // up to here comparing hashes in a row beats a table

uint64_t mix(uint64_t x) {  // the finaliser of SplitMix64
    x ^= x >> 30;
    x *= 0xBF58476D1CE4E5B9ull;
    x ^= x >> 27;
    x *= 0x94D049BB133111EBull;
    return x ^ (x >> 31);
}

uint64_t hash_text(std::string_view text) { return std::hash<std::string_view>{}(text) | 1; }

uint64_t hash_int(int64_t key) { return mix(static_cast<uint64_t>(key) + 0x9E3779B97F4A7C15ull); }

constexpr int deepest_key = 1000;  // tuples in tuples

uint64_t hash_nested(const Value& key, int depth) {
    switch (key.kind()) {
        case Kind::none: return mix(1);
        case Kind::boolean: return mix(2 + key.as_bool());
        case Kind::integer: return hash_int(key.as_int());
        case Kind::dtype: return mix(16 + static_cast<uint64_t>(key.as_dtype()));
        case Kind::device: return mix(64 + static_cast<uint64_t>(key.as_device().index) * 2 + key.as_device().kind);
        case Kind::string: return key.as<StringObject>().hash();
        case Kind::tuple: {
            if (depth > deepest_key) throw_error("recursion", "a key of a dict is nested too deeply");
            uint64_t hash = 0x51ED270B;
            for (const Value& item : key.as<TupleObject>().items)
                hash = mix(hash ^ hash_nested(item, depth + 1)) + 0x632BE5AB;
            return hash;
        }
        case Kind::symbolic: assert(false && "Evaluator::as_key decides numbers before they are keys"); break;
        case Kind::unset:
        case Kind::real:
        case Kind::ellipsis:
        case Kind::list:
        case Kind::dict:
        case Kind::slice: break;
        default: return mix(reinterpret_cast<uintptr_t>(&key.object()));
    }
    throw_error("key", fmt::format("{} cannot be a key of a dict", with_article(key.kind())),
                "keys are str, int, bool, none, dtypes and tuples of these, or tensors, models and nodes by identity");
}

}  // namespace

uint64_t hash_key(const Value& key) {
    if (key.is(Kind::string)) return key.as<StringObject>().hash();
    if (key.is_int()) return hash_int(key.as_int());
    return hash_nested(key, 0);
}

// ---- str ----------------------------------------------------------------------------------------------------------

int64_t StringObject::count() const {
    characters_ = std::count_if(text_.begin(), text_.end(), [](char c) { return (c & 0xC0) != 0x80; });
    return characters_;
}

uint64_t StringObject::make_hash() const { return hash_ = hash_text(text_); }

void StringObject::append(const StringObject& more) {
    assert(use_count() <= 2 && "its holder, and who asks");
    text_ += more.text_;  // or there is no memory, and all stays as it is
    if (characters_ >= 0) characters_ += more.characters();
    hash_ = 0;
}

// ---- dict, continued ----------------------------------------------------------------------------------------------

bool equal_keys(const Value& a, const Value& b) {
    if (identical(a, b)) return true;
    if (a.kind() != b.kind()) return false;
    if (a.is(Kind::string)) return text_of(a) == text_of(b);
    if (a.is(Kind::tuple)) {
        const Values& x = a.as<TupleObject>().items;
        const Values& y = b.as<TupleObject>().items;
        return std::equal(x.begin(), x.end(), y.begin(), y.end(), equal_keys);
    }
    return false;
}

void DictObject::visit_children(FunctionRef<void(const Value&)> visit) const {
    for (const Entry& entry : entries()) {
        visit(entry.key);
        visit(entry.value);
    }
}

void DictObject::take_children(Values& into) {
    for (Entry& entry : entries_) {
        into.push_back(std::move(entry.key));
        into.push_back(std::move(entry.value));
    }
    entries_.clear();
    gone_ = 0;
    table_.clear();
}

void DictObject::clear() {
    std::vector<Entry> dropped = std::move(entries_);
    entries_.clear();
    gone_ = 0;
    table_.clear();
}

size_t DictObject::lookup(const Value& key, uint64_t hash) const {
    if (table_.empty()) {
        for (size_t i = 0; i < entries_.size(); ++i) {
            if (entries_[i].hash == hash && equal_keys(entries_[i].key, key)) return i;
        }
        return npos;
    }
    size_t mask = table_.size() - 1;
    for (size_t at = hash & mask; table_[at] != 0; at = (at + 1) & mask) {
        const Entry& entry = entries_[table_[at] - 1];
        if (entry.hash == hash && (identical(entry.key, key) || equal_keys(entry.key, key))) return table_[at] - 1;
    }
    return npos;
}

void DictObject::close_up() {
    if (gone_ > 0) rebuild();
}

void DictObject::rebuild() {
    std::erase_if(entries_, [](const Entry& entry) { return !entry.is_there(); });
    gone_ = 0;
    table_.clear();
    if (entries_.size() <= linear_limit) return;
    size_t capacity = 32;
    while (capacity < entries_.size() * 2) capacity *= 2;
    table_.resize(capacity, 0);
    for (size_t i = 0; i < entries_.size(); ++i) {
        size_t at = entries_[i].hash & (capacity - 1);
        while (table_[at] != 0) at = (at + 1) & (capacity - 1);
        table_[at] = static_cast<uint32_t>(i + 1);
    }
}

Value* DictObject::find(const Value& key) {
    size_t at = lookup(key, hash_key(key));
    return at == npos ? nullptr : &entries_[at].value;
}

Value* DictObject::find(std::string_view key) {
    uint64_t hash = hash_text(key);
    auto matches = [&](const Entry& entry) {
        return entry.hash == hash && entry.key.is(Kind::string) && text_of(entry.key) == key;
    };
    if (table_.empty()) {
        for (Entry& entry : entries_) {
            if (matches(entry)) return &entry.value;
        }
        return nullptr;
    }
    size_t mask = table_.size() - 1;
    for (size_t at = hash & mask; table_[at] != 0; at = (at + 1) & mask) {
        if (matches(entries_[table_[at] - 1])) return &entries_[table_[at] - 1].value;
    }
    return nullptr;
}

void DictObject::set(const Value& key, Value value) {
    uint64_t hash = hash_key(key);
    size_t at = lookup(key, hash);
    if (at != npos) {
        entries_[at].value = std::move(value);
        return;
    }
    entries_.push_back({key, std::move(value), hash});
    if (entries_.size() <= linear_limit) return;
    if (table_.size() < entries_.size() * 2) {
        try {
            rebuild();
        } catch (...) {  // no memory: an entry that nobody could find is none
            entries_.pop_back();
            throw;
        }
        return;
    }
    size_t slot = hash & (table_.size() - 1);
    while (table_[slot] != 0) slot = (slot + 1) & (table_.size() - 1);
    table_[slot] = static_cast<uint32_t>(entries_.size());
}

void DictObject::set(std::string_view key, Value value) {
    if (Value* old = find(key)) {
        *old = std::move(value);
    } else {
        set(make_text(key), std::move(value));
    }
}

bool DictObject::remove(const Value& key) {
    size_t at = lookup(key, hash_key(key));
    if (at == npos) return false;
    // The table still leads here, past which other keys are found: one that is unset equals none.
    const Value key_gone = std::exchange(entries_[at].key, Value::unset());
    const Value value_gone = std::exchange(entries_[at].value, Value::unset());
    if (++gone_ * 2 > entries_.size()) rebuild();
    return true;
}

void DictObject::insert_at(size_t position, Value key, Value value) {
    uint64_t hash = hash_key(key);
    assert(lookup(key, hash) == npos);
    close_up();
    entries_.insert(entries_.begin() + static_cast<ptrdiff_t>(position), {std::move(key), std::move(value), hash});
    rebuild();
}

void DictObject::truncate(size_t count) {
    close_up();
    if (count >= entries_.size()) return;
    const std::vector<Entry> dropped(std::make_move_iterator(entries_.begin() + static_cast<ptrdiff_t>(count)),
                                     std::make_move_iterator(entries_.end()));
    entries_.resize(count);
    rebuild();
}

void DictObject::swap(DictObject& other) {
    std::swap(entries_, other.entries_);
    std::swap(gone_, other.gone_);
    std::swap(table_, other.table_);
}

size_t DictObject::position_of(const Value& key) const {
    const size_t at = lookup(key, hash_key(key));
    if (gone_ == 0 || at == npos) return at;
    const auto there = [](const Entry& entry) { return entry.is_there(); };
    return static_cast<size_t>(std::count_if(entries_.begin(), entries_.begin() + static_cast<ptrdiff_t>(at), there));
}

Value& DictObject::value_at(size_t position) {
    close_up();
    return entries_[position].value;
}

const DictObject::Entry& DictObject::Entries::operator[](size_t position) const {
    auto at = begin();
    while (position-- > 0) ++at;
    return *at;
}

}  // namespace tenon
