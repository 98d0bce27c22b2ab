// A reference to something callable: two words, no allocation. It must not outlive what it refers to.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace tenon {

template <class Signature> class FunctionRef;

template <class Result, class... Arguments> class FunctionRef<Result(Arguments...)> {
public:
    template <class Callable>
        requires(!std::is_same_v<std::remove_cvref_t<Callable>, FunctionRef> &&
                 std::is_invocable_r_v<Result, Callable&, Arguments...>)
    FunctionRef(Callable&& callable) {
        using Target = std::remove_reference_t<Callable>;
        if constexpr (std::is_function_v<Target>) {
            target_.function = reinterpret_cast<void (*)()>(&callable);
            call_ = [](Any target, Arguments... arguments) -> Result {
                return static_cast<Result>(
                    reinterpret_cast<Target*>(target.function)(std::forward<Arguments>(arguments)...));
            };
        } else {
            target_.object = const_cast<void*>(static_cast<const void*>(std::addressof(callable)));
            call_ = [](Any target, Arguments... arguments) -> Result {
                return static_cast<Result>(
                    (*static_cast<Target*>(target.object))(std::forward<Arguments>(arguments)...));
            };
        }
    }

    Result operator()(Arguments... arguments) const { return call_(target_, std::forward<Arguments>(arguments)...); }

private:
    union Any {
        void* object;
        void (*function)();
    };
    Any target_;
    Result (*call_)(Any, Arguments...);
};

}  // namespace tenon
