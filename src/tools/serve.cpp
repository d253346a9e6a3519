#include "tools/command_line.h"
namespace quern { const Subcommand serve_command{"serve","",+[](CLI::App&)->Command{return []{return 1;};}}; }
