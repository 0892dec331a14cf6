# Prints a Makefile's targets: "##@ Title" starts a group, "target: … ## text" is an entry.
BEGIN { FS = ":.*## "; print "maquette: a video or photos become a 3D model\n\nusage: make <target> [NAME=value ...]" }
/^##@ / { printf "\n%s\n", substr($0, 5); next }
/^[a-zA-Z][a-zA-Z0-9 _-]*:.*## / { printf "  %-46s %s\n", $1, $2 }
