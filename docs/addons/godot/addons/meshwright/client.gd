@tool
extends Node
## Sends tasks to `meshwright serve` and fetches what they make. In the editor and in games.
##
##     var client := Client.new()
##     add_child(client)
##     var task := client.task({"prompt": "a red chair", "for": "godot"})
##     var path := await client.run(task, "user://made")
##     if path != "":
##         add_child(Place.load_glb(path))

const Task := preload("task.gd")
## Seconds that one answer may take.
const TIMEOUT := 30.0

## Something of a task is new: its text, its progress, or that it has ended.
signal changed(task: Task)

var address := "http://127.0.0.1:8188"
## What the server's --token-file holds; "" if it has none.
var token := ""


## A task that has not been sent. `options` are those of the server; "name" is made from the prompt if there is none.
func task(options: Dictionary) -> Task:
	var all := options.duplicate()
	if not all.has("name"):
		all["name"] = Task.name_of(all.get("prompt", ""))
	return Task.new(all, Task.new_key())


## Send a task, wait for its end, and write the GLB into `folder`. Gives the path of the file, or "" if there is none: `task.error` says
## why, unless it was cancelled. Nothing is overwritten, and the file is there as a whole or not at all.
func run(task: Task, folder: String) -> String:
	var http := HTTPRequest.new()
	http.timeout = TIMEOUT
	add_child(http)
	var path := ""
	while not task.done:
		var request: Dictionary = task.next(Time.get_ticks_msec())
		if request.is_empty():
			await get_tree().process_frame
			continue
		var answer := await _send(http, request)
		task.answered(Time.get_ticks_msec(), answer.status, answer.headers, answer.json, answer.data.size())
		if request.is_file and task.done and task.error == "":
			path = _write(task, folder, answer.data)
		changed.emit(task)
	http.queue_free()
	return path


func _send(http: HTTPRequest, request: Dictionary) -> Dictionary:
	var headers := PackedStringArray(request.headers)
	if token != "":
		headers.append("Authorization: Bearer " + token)
	var method := HTTPClient.METHOD_POST if request.method == "POST" else HTTPClient.METHOD_GET
	var body := "" if request.body == null else JSON.stringify(request.body)
	var answer := {"status": 0, "headers": PackedStringArray(), "json": null, "data": PackedByteArray()}
	if http.request(address.trim_suffix("/") + request.path, headers, method, body) != OK:
		return answer
	var came: Array = await http.request_completed  # result, status, headers, body
	if came[0] != HTTPRequest.RESULT_SUCCESS:
		return answer
	answer.status = came[1]
	answer.headers = came[2]
	answer.data = came[3]
	for line: String in answer.headers:
		if line.to_lower().begins_with("content-type:") and line.contains("json"):
			answer.json = JSON.parse_string(answer.data.get_string_from_utf8())
	return answer


func _write(task: Task, folder: String, data: PackedByteArray) -> String:
	DirAccess.make_dir_recursive_absolute(folder)
	var stem: String = folder.path_join(task.file_name.get_basename())
	var path := stem + ".glb"
	var number := 2
	while FileAccess.file_exists(path):
		path = "%s_%d.glb" % [stem, number]
		number += 1
	var file := FileAccess.open(path + ".part", FileAccess.WRITE)
	if file != null:
		file.store_buffer(data)
		var error := file.get_error()
		file.close()
		if error == OK and DirAccess.rename_absolute(path + ".part", path) == OK:
			return path
		DirAccess.remove_absolute(path + ".part")
	task.fail("%s cannot be written" % path)
	return ""
