#!/usr/bin/zsh -f
# SPDX-License-Identifier: GPL-2.0
# What zsh offers for command lines, by its own completion system in a terminal.
# Usage: complete.zsh DIRECTORY, with _mshare. For each line that is read, one is
# printed: what would be completed, sorted, with blanks between.
zmodload zsh/zpty || exit 1
work=$(mktemp -d) || exit 1
trap 'zpty -d z 2>/dev/null; rm -rf $work' EXIT

# What a completion function adds goes into a file, too.
cat >$work/start <<'END'
PS1= PS2= RPS1=
fpath=($1 $fpath)
autoload -Uz compinit
compinit -D -u
compadd() {
	if [[ ${(M)@[1,(i)(-|--)]:#-[a-zA-Z]#[OAD]*} != '' ]]; then
		builtin compadd "$@"
		return
	fi
	local -a caught_
	builtin compadd -O caught_ "$@"
	print -rl -- $caught_ >>$2
	builtin compadd "$@"
}
END
# The wrapper has its own arguments: the names are written into the text.
sed -i "s|\$1 |${(q)1} |; s|\$2|$work/offered|" $work/start
cat >>$work/start <<'END'
tab_() { zle complete-word; print -n @OVER@ }
zle -N tab_
zstyle ':completion:*' insert-tab false
setopt no_beep no_auto_list extended_glob
bindkey '^I' tab_ '^U' kill-whole-line
print -n @READY@
END

zpty z zsh -f -i
zpty -w z ". $work/start"
zpty -r z text '*@READY@'
while IFS= read -r line; do
	: >$work/offered
	zpty -w -n z $'\x15'$line$'\t'
	zpty -r z text '*@OVER@'
	print -r -- ${(ou)${(f)"$(<$work/offered)"}}
done
