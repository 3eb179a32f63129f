# bash completion for postern
_postern() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  local command="" action="" config=() i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -c | --config) config=(-c "${COMP_WORDS[++i]}") ;;
      -*) ;;
      *) if [[ -z $command ]]; then command=${COMP_WORDS[i]}; elif [[ -z $action ]]; then action=${COMP_WORDS[i]}; fi ;;
    esac
  done
  _postern_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$word"); }
  _postern_ids() { # of the queue, and the options $1
    _postern_words "$1 $(postern "${config[@]}" queue list 2>/dev/null | grep -oE '^[0-9A-Z]{13} ')"
  }
  case $before in
    -c | --config) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    --state) _postern_words "active deferred held"; return ;;
    --destination) _postern_words "$(postern "${config[@]}" queue destinations 2>/dev/null | cut -d' ' -f1)"; return ;;
    --without) _postern_words "ids hardening landlock ring rlimits seccomp"; return ;;
    --backend) _postern_words "uring epoll"; return ;;
    --limit | --sender | --recipient | --reason) COMPREPLY=(); return ;;
  esac
  case $command/$action in
    /) _postern_words "check explain ps reload stop why queue selftest --config --json --help --version" ;;
    check/*) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    explain/) _postern_words "$(postern explain 2>/dev/null)" ;;
    why/) _postern_ids "--json" ;;
    queue/) _postern_words "list show hold release requeue delete flush destinations fsck" ;;
    queue/list) _postern_words "--state --sender --recipient --limit --json" ;;
    queue/show) _postern_ids "--content --json" ;;
    queue/hold | queue/release | queue/requeue | queue/delete) _postern_ids "--all --reason --json" ;;
    queue/flush) _postern_ids "--destination --json" ;;
    selftest/) _postern_words "confinement" ;;
    selftest/confinement) _postern_words "smtpd policyd resolvd qmgr smtpc locald deliver bounced --without --backend --ablation --acts --kill --json" ;;
    *) _postern_words "--json --help" ;;
  esac
}
complete -F _postern postern
