#include "frontend/values/output.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "runtime/interrupt.h"

namespace tenon {

void write_standard_output(std::string_view text) {
    std::fflush(stdout);  // the line editor's
    while (!text.empty()) {
        const ssize_t put = ::write(STDOUT_FILENO, text.data(), text.size());
        if (put >= 0) {
            text.remove_prefix(static_cast<size_t>(put));
        } else if (errno == EINTR) {
            check_interrupt();
        } else if (errno == EAGAIN) {  // somebody shares it who does not want to wait for its reader
            pollfd room{STDOUT_FILENO, POLLOUT, 0};
            poll(&room, 1, -1);
            check_interrupt();
        } else {
            const std::string reason = std::generic_category().message(errno);
            throw OutputLost(Diagnostic{"io",
                                        fmt::format("cannot write to the standard output: {}", reason),
                                        {},
                                        {},
                                        "what was printed is incomplete"});
        }
    }
}

}  // namespace tenon
