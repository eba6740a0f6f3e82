#!/bin/sh
# A tour of the service with nothing but curl: connects OpenProject and Leantime, syncs both and follows the live events,
# then makes a conflict and settles it.
#
# MAGNUS       where the service listens, such as http://127.0.0.1:8017 (`magnus serve`)
# OPENPROJECT  the address of an OpenProject with a project "Garden" that has tasks, and OPENPROJECT_KEY, a key to it
# LEANTIME     the address of a Leantime with a project "Garden", and LEANTIME_KEY, a key to it
#
# `cargo run -p magnus-testkit --example simulators` serves two tools to try it on.
set -eu

work=$(mktemp -d)
listener=
trap 'if [ -n "$listener" ]; then kill "$listener" 2>/dev/null || true; fi; rm -rf "$work"' EXIT

ask() { # METHOD PATH [JSON]: the answer; an error of the service ends the tour
    if [ $# -eq 3 ]; then set -- "$1" "$2" --header 'content-type: application/json' --data "$3"; fi
    method=$1 path=$2
    shift 2
    curl --silent --show-error --fail-with-body --request "$method" "$@" "$MAGNUS$path"
}

first() { # NAME: the first text of this name in the JSON on stdin
    grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4
}

echo "1. Connect both tools. A connection is tested first, and its key is never shown again."
# Synced only when asked: in real time, the conflict below would be over before both sides are edited.
op=$(ask POST /connections "{\"tool_name\":\"openproject\",\"display_name\":\"Work\",\"instance_url\":\"$OPENPROJECT\",
    \"api_key\":\"$OPENPROJECT_KEY\",\"sync_frequency\":\"manual\"}" | first id)
lt=$(ask POST /connections "{\"tool_name\":\"leantime\",\"display_name\":\"Board\",\"instance_url\":\"$LEANTIME\",
    \"api_key\":\"$LEANTIME_KEY\",\"sync_frequency\":\"manual\",\"config\":{\"projects\":\"mapped\",
    \"time_zone\":\"America/Los_Angeles\"}}" | first id)
echo "   connected $op and $lt"

echo "2. Take over OpenProject's projects, then say that Leantime's Garden is the same project."
ask POST "/connections/$op/sync?wait=true" | first magnus_says
hub=$(ask GET /projects | first id)
garden=$(ask GET "/connections/$lt/projects" | first external_project_id)
ask POST "/connections/$lt/map-project" "{\"external_project_id\":\"$garden\",\"magnus_project_id\":\"$hub\"}" | first magnus_says

echo "3. Sync all, and follow the events until both runs have ended."
mkfifo "$work/events"
answer=$(ask POST /sync/all)
printf '%s' "$answer" | first magnus_says
runs=$(printf '%s' "$answer" | grep -o '"run_ids":[^]]*')
# Told from the beginning of the log, nothing can be missed; events of other runs are left out.
curl --silent --no-buffer "$MAGNUS/sync/events?last_event_id=0" > "$work/events" &
listener=$!
exec 3< "$work/events"
ended=0
while [ "$ended" -lt 2 ] && read -r line <&3; do
    case $line in
        event:*) event=${line#event: } ;;
        data:*)
            run=$(printf '%s' "$line" | first run_id)
            case $runs in
                *"$run"*)
                    echo "   $event $run"
                    if [ "$event" = run.finished ]; then ended=$((ended + 1)); fi
                    ;;
            esac
            ;;
    esac
done
kill "$listener" 2>/dev/null || true
listener=
exec 3<&-

echo "4. What goes on?"
ask GET /sync/status | first magnus_says

echo "5. One task is edited here and in OpenProject: a conflict."
task=$(ask GET '/unified/tasks?order=title&limit=1' | first id)
item=$(ask GET "/tasks/$task" | grep -o "\"connection_id\":\"$op\"[^}]*" | first external_task_id)
ask PATCH "/tasks/$task" '{"title":"Named in the hub"}' | first title
lock=$(curl --silent --fail --user "apikey:$OPENPROJECT_KEY" "$OPENPROJECT/api/v3/work_packages/$item" \
    | grep -o '"lockVersion":[0-9]*' | head -n 1 | cut -d : -f 2)
curl --silent --fail --output /dev/null --user "apikey:$OPENPROJECT_KEY" --request PATCH \
    --header 'content-type: application/json' --data "{\"lockVersion\":$lock,\"subject\":\"Named in OpenProject\"}" \
    "$OPENPROJECT/api/v3/work_packages/$item"
ask POST "/connections/$op/sync?wait=true" | first status
conflict=$(ask GET /conflicts | first id)

echo "6. The hub is right. The next sync carries that out."
ask POST "/conflicts/$conflict/resolve" '{"resolution":"hub"}' | first magnus_says
ask POST "/connections/$op/sync?wait=true" | first magnus_says
curl --silent --fail --user "apikey:$OPENPROJECT_KEY" "$OPENPROJECT/api/v3/work_packages/$item" | first subject
