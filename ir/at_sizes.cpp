#include "ir/at_sizes.h"

namespace tenon {

static AttrValue at_sizes(Context& context, const AttrValue& value, std::span<const int64_t> symbols) {
    if (const auto* size = std::get_if<SizeId>(&value.value))
        return AttrValue(context.constant(context.evaluate(*size, symbols)));
    if (const auto* type = std::get_if<TypeId>(&value.value)) return AttrValue(at_sizes(context, *type, symbols));
    if (const auto* list = std::get_if<AttrList>(&value.value)) {
        AttrList made;
        for (const AttrValue& item : *list) made.push_back(at_sizes(context, item, symbols));
        return AttrValue(std::move(made));
    }
    return value;
}

AttrId at_sizes(Context& context, AttrId id, std::span<const int64_t> symbols) {
    if (!id) return id;
    Record record = context[id];
    for (AttrEntry& entry : record) entry.value = at_sizes(context, entry.value, symbols);
    return context.attr(std::move(record));
}

TypeId at_sizes(Context& context, TypeId id, std::span<const int64_t> symbols) {
    Type made = context[id];
    for (SizeId& size : made.sizes) size = context.constant(context.evaluate(size, symbols));
    for (TypeId& element : made.elements) element = at_sizes(context, element, symbols);
    return context.type(std::move(made));
}

}  // namespace tenon
