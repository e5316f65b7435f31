# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# bash completion for mshare(1)

# Others choose the names: nothing in them is for the shell (compgen -W would
# expand it).
_mshare_regions() {
	local name quoted

	while IFS= read -r name; do
		printf -v quoted %q "$name"
		if [[ $name == "$cur"* || $quoted == "$cur"* ]]; then
			COMPREPLY+=("$quoted")
		fi
	done < <(mshare ls --noheadings --bytes 2>/dev/null |
		sed -E 's/( +[0-9-]+){6}$//')
}

_mshare_options() {
	local common="--json --bytes --noheadings --mount --help"
	case $1 in
	run) echo "--require --min-size --only --files --sysv --deepbind --verbose $common" ;;
	create) echo "--mode --populate --lock --noreserve --hugetlb $common" ;;
	stat) echo "--watch --count $common" ;;
	map) echo "--file --offset --at --replace --prot --populate --lock --noreserve --hugetlb $common" ;;
	rm) echo "--force $common" ;;
	mount) echo "--options $common" ;;
	estimate) echo "--all --proc $common" ;;
	ls|show|unmap|protect|doctor) echo "$common" ;;
	esac
}

# Its options, and those of the program when there is one.
_mshare_run() {
	local i word

	for ((i = 2; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-m|--min-size|-o|--only|-D|--mount) ((i++)) ;;
		--) ((i++)); break ;;
		-*) ;;
		*) break ;;
		esac
	done
	if [ "$i" -lt "$COMP_CWORD" ]; then
		if declare -F _command_offset >/dev/null; then
			_command_offset "$i"
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		fi
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_mshare_options run)" -- "$cur")
	elif [ "$i" -eq "$COMP_CWORD" ]; then
		mapfile -t COMPREPLY < <(compgen -c -- "$cur")
	fi
}

_mshare() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]}

	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W \
			"run create ls show stat map unmap protect rm mount doctor estimate --help --version" -- "$cur")
		return
	fi
	if [ "$command" = run ]; then
		_mshare_run
		return
	fi
	case $prev in
	-f|--file)
		if [ "$command" = map ]; then
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			return
		fi
		;;
	-D|--mount|--proc)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	-P|--prot)
		mapfile -t COMPREPLY < <(compgen -W "none r rw rx rwx" -- "$cur")
		return
		;;
	-m|--mode|-o|--offset|--options|-a|--at|-c|--count)
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_mshare_options "$command")" -- "$cur")
		return
	fi
	case $command in
	show|stat|map|unmap|rm) _mshare_regions ;;
	protect)
		if [ "$COMP_CWORD" -eq 5 ]; then
			mapfile -t COMPREPLY < <(compgen -W "none r rw rx rwx" -- "$cur")
		else
			_mshare_regions
		fi
		;;
	mount) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
	estimate)
		mapfile -t COMPREPLY < <(cd /proc && compgen -W "$(echo [0-9]*)" -- "$cur")
		;;
	esac
}

complete -F _mshare mshare
