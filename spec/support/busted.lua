-- busted's command line, whatever wrapper this machine has under that name.
require "busted.runner"{ standalone = false }
