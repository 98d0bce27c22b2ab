#include "frontend/tool/line_editor.h"

#include <histedit.h>
#include <langinfo.h>
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>

namespace tenon {

namespace {

// Ctrl-C at the prompt leaves libedit by a jump: it would read on otherwise. Only C frames lie in between.
sigjmp_buf at_prompt;

void leave_prompt(int) { siglongjmp(at_prompt, 1); }

std::string history_path() {
    if (const char* path = std::getenv("TENON_HISTORY")) return path;
    const char* state = std::getenv("XDG_STATE_HOME");
    const char* home = std::getenv("HOME");
    if (state && *state) return std::string(state) + "/tenon_history";
    return home && *home ? std::string(home) + "/.tenon_history" : std::string();
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == ':'; }

}  // namespace

struct LineEditor::Terminal {
    EditLine* line = nullptr;
    History* history = nullptr;
    std::string path = history_path();
    std::string prompt;
    Complete complete;

    static char* prompt_of(EditLine* line) {
        Terminal* self = nullptr;
        el_get(line, EL_CLIENTDATA, &self);
        return self->prompt.data();
    }

    static unsigned char complete_word(EditLine* line, int) {
        Terminal* self = nullptr;
        el_get(line, EL_CLIENTDATA, &self);
        const LineInfo* info = el_line(line);
        const char* begin = info->cursor;
        while (begin > info->buffer && is_word(begin[-1])) --begin;
        std::string prefix(begin, info->cursor);
        if (prefix.empty()) {  // Tab indents
            el_insertstr(line, "    ");
            return CC_REFRESH;
        }
        std::vector<std::string> found = self->complete(prefix);
        if (found.empty()) return CC_REFRESH_BEEP;
        std::string common = found[0];
        for (const std::string& name : found) {
            common.resize(static_cast<size_t>(
                std::mismatch(common.begin(), common.end(), name.begin(), name.end()).first - common.begin()));
        }
        if (common.size() > prefix.size()) {
            el_insertstr(line, common.c_str() + prefix.size());
            return CC_REFRESH;
        }
        std::putchar('\n');
        for (const std::string& name : found) std::printf("%s  ", name.c_str());
        std::putchar('\n');
        return CC_REDISPLAY;
    }
};

LineEditor::LineEditor(Complete complete) {
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) return;
    terminal_ = std::make_unique<Terminal>();
    Terminal& t = *terminal_;
    t.complete = std::move(complete);
    // Scripts are UTF-8 whatever the environment says; libedit would drop what its locale does not know.
    std::setlocale(LC_CTYPE, "");
    if (std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0) std::setlocale(LC_CTYPE, "C.UTF-8");
    t.line = el_init("tenon", stdin, stdout, stderr);
    t.history = history_init();
    HistEvent event;
    history(t.history, &event, H_SETSIZE, 2000);
    history(t.history, &event, H_SETUNIQUE, 1);
    if (!t.path.empty()) history(t.history, &event, H_LOAD, t.path.c_str());
    el_set(t.line, EL_CLIENTDATA, &t);
    el_set(t.line, EL_PROMPT, &Terminal::prompt_of);
    el_set(t.line, EL_EDITOR, "emacs");
    el_set(t.line, EL_HIST, history, t.history);
    el_set(t.line, EL_ADDFN, "tenon-complete", "Completes a name", &Terminal::complete_word);
    el_set(t.line, EL_BIND, "^I", "tenon-complete", nullptr);
    el_source(t.line, nullptr);
}

LineEditor::~LineEditor() {
    if (!terminal_) return;
    HistEvent event;
    if (!terminal_->path.empty()) history(terminal_->history, &event, H_SAVE, terminal_->path.c_str());
    history_end(terminal_->history);
    el_end(terminal_->line);
}

bool LineEditor::is_terminal() const { return terminal_ != nullptr; }

LineEditor::Result LineEditor::read(const char* prompt, std::string& line) {
    if (!terminal_) { return std::getline(std::cin, line) ? Result::line : Result::end; }
    terminal_->prompt = prompt;
    struct sigaction jump{}, saved{};
    jump.sa_handler = leave_prompt;
    if (sigsetjmp(at_prompt, 1) != 0) {
        sigaction(SIGINT, &saved, nullptr);
        el_reset(terminal_->line);
        std::fputs("^C\n", stdout);
        return Result::interrupted;
    }
    sigaction(SIGINT, &jump, &saved);
    int count = 0;
    const char* text = el_gets(terminal_->line, &count);
    sigaction(SIGINT, &saved, nullptr);
    if (!text || count <= 0) {
        std::fputs("\n", stdout);
        return Result::end;
    }
    line.assign(text, static_cast<size_t>(count));
    while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
    return Result::line;
}

void LineEditor::remember(const std::string& entry) {
    if (!terminal_ || entry.empty()) return;
    HistEvent event;
    history(terminal_->history, &event, H_ENTER, entry.c_str());
}

}  // namespace tenon
