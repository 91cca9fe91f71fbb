# Run by Debian's godot3-server: the plugin's protocol against a running server. Prints what it found as JSON.
extends SceneTree

var Task = load("res://task.gd")
var http = HTTPRequest.new()
var now = 0
var texts = []


func _init():
	call_deferred("_main")


# One request of a task, really sent. Gives the body.
func _step(task, lose_answer = false):
	var request = task.next(now)
	if request.empty():
		now += 100
		OS.delay_msec(20)
		yield(self, "idle_frame")
		return PoolByteArray()
	var method = HTTPClient.METHOD_POST if request.method == "POST" else HTTPClient.METHOD_GET
	var body = "" if request.body == null else to_json(request.body)
	http.request(OS.get_environment("ADDRESS") + request.path, PoolStringArray(request.headers), false, method, body)
	var answer = yield(http, "request_completed")
	if lose_answer:
		task.answered(now, 0, [], null, 0)
		return answer[3]
	var json = null
	for line in answer[2]:
		if line.to_lower().begins_with("content-type:") and "json" in line:
			json = parse_json(answer[3].get_string_from_utf8())
	var status = answer[1] if answer[0] == HTTPRequest.RESULT_SUCCESS else 0
	task.answered(now, status, answer[2], json, answer[3].size())
	if not task.text in texts:
		texts.append(task.text)
	return answer[3]


func _run(task):
	var body
	while not task.done:
		body = yield(_step(task), "completed")
	return body


func _main():
	root.add_child(http)
	var found = {}

	var chair = Task.new({"prompt": "a red chair", "texture": 64, "name": Task.name_of("-a red, chair! 2")}, Task.new_key())
	var glb = yield(_run(chair), "completed")
	found["made"] = [chair.error, chair.file_name, chair.progress, glb.size() == chair.file_bytes, glb.subarray(0, 3).get_string_from_ascii()]
	found["texts"] = texts

	# The server took it, but its answer was lost.
	var key = Task.new_key()
	var lost = Task.new({"prompt": "a red chair", "steps": 1000, "prior_steps": 1000}, key)
	var first = parse_json(yield(_step(lost, true), "completed").get_string_from_utf8())
	while lost.id == "":
		yield(_step(lost), "completed")
	found["sent twice"] = [first["id"] == lost.id, lost.error]
	while lost.text != "starting" and not "step" in lost.text and lost.progress == 0 and not lost.done:
		yield(_step(lost), "completed")
	lost.cancel()
	yield(_run(lost), "completed")
	found["cancelled"] = [lost.cancelled, lost.error, lost.file_name]

	var unsent = Task.new({"prompt": "a chair"}, Task.new_key())
	unsent.cancel()
	found["unsent"] = [unsent.done, unsent.next(now).empty()]

	var wrong = Task.new({"prompt": "a chair", "seed": -1}, Task.new_key())
	yield(_run(wrong), "completed")
	found["refused"] = wrong.error

	var busy = Task.new({"prompt": "a chair"}, Task.new_key())
	var keys = [busy.next(now).headers[1]]
	busy.answered(now, 429, ["Content-Type: application/problem+json", "Retry-After: 5"], {"title": "the queue is full"}, 30)
	var waits = [busy.next(now + 4999).empty(), busy.next(now + 5000).empty()]
	keys.append(busy.next(now + 5000).headers[1])
	for _i in range(Task.RETRIES):
		busy.answered(now, 429, [], {"title": "the queue is full"}, 30)
	found["busy"] = [waits, keys[0] == keys[1], busy.error]

	var alone = Task.new({"prompt": "a chair"}, Task.new_key())
	for _i in range(Task.RETRIES + 1):
		alone.answered(now, 0, [], null, 0)
	found["alone"] = alone.error
	print("FOUND " + to_json(found))
	quit()
