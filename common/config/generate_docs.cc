// Prints what is generated from the declarations: `generate_config_docs file` conf/postern.toml,
// `generate_config_docs page` docs/configuration.md. Run it after changing a declaration; a test
// compares the committed files.
#include <cstdio>
#include <string>
#include <string_view>

#include "common/config/explain.h"

int main(int argc, char** argv) {
  const std::string_view what = argc == 2 ? argv[1] : "";
  std::string text;
  if (what == "file") text = postern::config::DefaultFile();
  if (what == "page") text = postern::config::DocumentationPage();
  if (text.empty()) {
    std::fputs("usage: generate_config_docs file|page\n", stderr);
    return 2;
  }
  std::fputs(text.c_str(), stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}
