-- The command line of busted, independent of this machine's wrapper.
require "busted.runner"{ standalone = false }
