# SPDX-License-Identifier: GPL-2.0
# Makes one TAP stream of what tests/guest-suite.sh prints. Variables:
#	where	configuration, the first part of each name
#	first	number of results before these
#	suites	all suites that have to come, separated by spaces
#	skips	file of skips that are allowed
#	absent	1: the kernel has no msharefs, and nothing but "absent" may pass
# Prints the results, with what was said in between only for those that failed.
# The last line, "@ PASSED FAILED", is for the caller.

BEGIN {
	why = "did not run"
	while ((getline line < skips) > 0) {
		if (line ~ /^[ \t]*(#|$)/)
			continue
		split(line, part)
		allowed[part[1] " " part[2]] = 1
	}
	split(where, config, "/")
	n = first
	wanted = split(suites, name_of)
}

function result(good, name, text,	i) {
	n++
	if (good)
		passed++
	else
		failed++
	print (good ? "ok " : "not ok ") n " - " where " " name text
	if (!good) {
		for (i = 1; i <= lines; i++)
			print "#   " line_of[i]
	}
	lines = 0
	fflush()
}

function may_skip(name) {
	return (config[1] " " name) in allowed || ("any " name) in allowed
}

function close_suite(status, seconds) {
	if (absent && suite != "absent") {
		# The control: a kernel without the feature passes nothing.
		result(sub_ok == 0 && sub_skip > 0, suite ".nothing_passes", \
		       " (" sub_skip + 0 " skipped, " sub_ok + 0 " passed, " \
		       sub_bad + 0 " failed)")
	} else if (status == 124 || status == 137) {
		result(0, suite ".time", " # no end after " seconds " s")
	} else if (seen != plan || plan == 0) {
		result(0, suite ".plan", " # " seen " of " plan \
		       " results, exit status " status)
	} else if (status != 0 && sub_bad == 0 && sub_ok > 0) {
		result(0, suite ".status", " # exit status " status)
	}
	print "# " where " " suite ": " sub_ok + 0 " passed, " sub_bad + 0 \
	      " failed, " sub_skip + 0 " skipped, " seconds " s"
	fflush()
	ended[suite] = 1
	suite = ""
}

{ sub(/\r$/, "") }

/^@suite / {
	suite = $2
	plan = seen = sub_ok = sub_bad = sub_skip = lines = 0
	next
}

/^@end / {
	close_suite($3, $4)
	next
}

/^@leaks / {
	result($3 == "ok", $2 ".leaks", "")
	next
}

/^@fail / {
	result(0, substr($0, 7), "")
	next
}

/^@noboot$/ {
	why = "the machine did not boot"
	next
}

/^@done$/ { next }

suite != "" && /^1\.\.[0-9]+/ {
	plan = substr($1, 4) + 0
	next
}

suite != "" && /^(not )?ok [0-9]+/ {
	good = /^ok/
	text = $0
	sub(/^(not )?ok [0-9]+ *(- )?/, "", text)
	reason = ""
	if (match(text, / *# *SKIP/)) {
		reason = substr(text, RSTART + RLENGTH)
		text = substr(text, 1, RSTART - 1)
	}
	seen++
	if (reason != "" && good) {
		sub_skip++
		if (absent) {
			lines = 0
		} else if (may_skip(text)) {
			result(1, text, " # SKIP" reason)
		} else {
			result(0, text, " # skipped:" reason)
		}
	} else if (good) {
		sub_ok++
		if (!absent || suite == "absent")
			result(1, text, "")
	} else {
		sub_bad++
		result(0, text, "")
	}
	next
}

# What the harness says about its own course is in the log.
/^# +(RUN|OK) |^TAP version|^# Starting |^# PASSED|^# FAILED|^# Totals/ { next }

{
	if (lines == 200) {
		for (i = 1; i < lines; i++)
			line_of[i] = line_of[i + 1]
		lines--
	}
	line_of[++lines] = $0
}

END {
	if (suite != "")
		result(0, suite ".end", " # the machine ended in the middle")
	for (i = 1; i <= wanted; i++) {
		if (!ended[name_of[i]] && name_of[i] != suite)
			result(0, name_of[i] ".run", " # " why)
	}
	print "@ " passed + 0 " " failed + 0
}
