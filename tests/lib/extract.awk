# SPDX-License-Identifier: GPL-2.0
# Program or output (-v want=c or text) of the example -v program=NAME in a guide.
$0 == "<!-- program: " program " -->" { here = 1; next }
/^<!-- program: / { here = 0 }
here && $0 == "```" want { printing = 1; next }
/^```$/ { if (printing) exit; next }
printing
