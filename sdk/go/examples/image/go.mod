module schedule.local/{{name}}

go 1.24
