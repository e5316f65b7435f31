# SPDX-License-Identifier: GPL-2.0
#
# plan.awk -v tier=T -v flavour=F -v la57=V -v only="SUITE ...": what tests/suites
# says is run in tier T by kernel F with page tables V, all or only some of it:
# SUITE:SECONDS[:NAME=VALUE,...], one per line.

# whether @word is one of @list, which commas divide
function among(word, list) {
	return index("," list ",", "," word ",")
}

function bad(what) {
	print "mshare: test: " FILENAME ":" FNR ": " what >"/dev/stderr"
	exit 2
}

# CLASS[:FLAVOURS[/LA57]]=SECONDS[,NAME=VALUE]...
function entry(text, at, where, class, on, modes, what) {
	at = index(text, "=")
	where = substr(text, 1, at - 1)
	what = substr(text, at + 1)
	class = where
	sub(/:.*/, "", class)
	if (!(class in tiers) || what !~ /^[0-9]+(,[A-Z_]+=[^,]*)*$/)
		bad(text)
	on = flavours[class]
	modes = las[class]
	if (where ~ /:/) {
		on = where
		sub(/.*:/, "", on)
		if (on ~ /\//) {
			modes = on
			sub(/.*\//, "", modes)
			sub(/\/.*/, "", on)
		}
	}
	if (!among(tier, tiers[class]) || !among(flavour, on) || !among(la57, modes))
		return
	sub(/,/, ":", what)
	print suite ":" what
}

/^#/ || NF == 0 { next }
$1 == "class" {
	tiers[$2] = $3
	flavours[$2] = $4
	las[$2] = $5
	next
}
{
	first = 1
	if (/^[^ \t]/) {
		suite = $1
		first = 2
	}
	if (only != "" && !index(" " only " ", " " suite " "))
		next
	for (i = first; i <= NF; i++)
		entry($i)
}
