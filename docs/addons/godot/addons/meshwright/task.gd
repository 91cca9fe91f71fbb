@tool
# One task of `meshwright serve`: which request is to be sent next, and what the answer to it means.
#
# It sends nothing and waits for nothing, so it is the same in the editor, in a game and in a test. But for its first line, which is
# `tool` there, it is also a script of Godot 3.
#
#     var task = Task.new({"prompt": "a red chair"}, Task.new_key())
#     while not task.done:
#         var request = task.next(now)    # {} while there is nothing to send
#         ...                             # send it
#         task.answered(now, status, headers, json, bytes)
#
# Times are in milliseconds.

# Between two looks at a task; before a request is sent again, unless the server says how long to wait.
const POLL = 300
const PAUSE = 1000
# How often in a row a request is sent again if nobody answers (0), or the server is busy or starting.
const RETRIES = 5
const TRY_AGAIN = [0, 429, 502, 503]
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
const SUBMIT = 0
const LOOK = 1
const FETCH = 2

# For whoever shows it: what is going on, 0 to 100, and whether it has ended. Then there is a file, or an error, or it was cancelled.
var text = "waiting for the server"
var progress = 0
var done = false
var error = ""
var cancelled = false
# The server's id of it, and the name and size of the GLB once there is one.
var id = ""
var file_name = ""
var file_bytes = 0

var _options
var _key
var _step = SUBMIT
var _sent = false
var _told = false
var _file_url = ""
var _failures = 0
var _not_before = 0


# options : as the server takes them; key : the server makes no second task of the same key
func _init(options, key):
	_options = options
	_key = key


# A key that no other task has.
static func new_key():
	return Crypto.new().generate_random_bytes(16).hex_encode()


# A prompt as the name of an object and a file.
static func name_of(prompt):
	var name = ""
	var gap = false
	for i in range(prompt.length()):
		if LETTERS.find(prompt.substr(i, 1)) < 0:
			gap = true
			continue
		if gap and name != "":
			name += "_"
		gap = false
		name += prompt.substr(i, 1)
	return name.substr(0, 48) if name != "" else "object"


# Let the server end it at its next step.
func cancel():
	cancelled = true
	if not _sent:
		done = true
	_not_before = 0


# End it for a reason of the caller's.
func fail(message):
	error = message
	done = true


# The request to send: {"method", "path", "headers", "body" (a dictionary or null), "is_file"}; {} if there is none yet.
func next(now):
	if done or now < _not_before:
		return {}
	if _step == SUBMIT:
		_sent = true
		return _request("POST", "/v1/tasks", _options, ["Content-Type: application/json", "Idempotency-Key: " + _key])
	if _step == FETCH:
		return _request("GET", _file_url, null, [])
	if cancelled and not _told:
		return _request("POST", "/v1/tasks/" + id + "/cancel", null, [])
	return _request("GET", "/v1/tasks/" + id, null, [])


# Take the answer: status of HTTP, 0 if there was none; headers as lines; json, null if the body is something else; bytes of the body.
func answered(now, status, headers, json, bytes):
	var cut = _step == FETCH and status == 200 and bytes != file_bytes
	if TRY_AGAIN.has(status) or cut:
		_failed(now, status, headers, json)
		return
	_failures = 0
	if status >= 400:
		fail(_problem(status, json))
	elif _step == FETCH:
		progress = 100
		text = "done"
		done = true
	elif typeof(json) != TYPE_DICTIONARY or not json.has("state"):
		fail("this is not a server of Meshwright")
	else:
		_told = _told or (cancelled and id != "")
		_seen(json)
		_not_before = now + POLL if _step == LOOK and (_told or not cancelled) else now


func _failed(now, status, headers, json):
	_failures += 1
	_not_before = now + _pause(headers)
	text = "trying again"
	if _failures > RETRIES:
		fail("no server answers; start it with: meshwright serve" if status == 0 else _problem(status, json))


func _seen(task):
	id = task["id"]
	_step = LOOK
	progress = int(task["progress"])
	var state = task["state"]
	if state == "PENDING":
		text = str(int(task["position"])) + " before it" if task["position"] > 0 else "next"
	elif state == "IN_PROGRESS":
		text = task["stage"] if task.get("stage") else "starting"
	elif state == "CANCELED":
		cancelled = true
		done = true
	elif state == "FAILED":
		fail(task["error"])
	else:
		_find_file(task)


func _find_file(task):
	file_name = task["request"]["name"] + ".glb"
	for file in task["files"]:
		if file["name"] == file_name:
			_file_url = file["url"]
			file_bytes = int(file["bytes"])
			_step = FETCH
			text = "fetching it"
			return
	fail("the task made no " + file_name)


func _request(method, path, body, headers):
	return {"method": method, "path": path, "body": body, "headers": headers, "is_file": _step == FETCH}


# What the server says is wrong (RFC 9457), in one line.
func _problem(status, json):
	if typeof(json) != TYPE_DICTIONARY or not json.has("title"):
		return "the server answered " + str(status)
	var said = json["title"]
	if json.has("detail"):
		said += "; " + json["detail"]
	for fault in json.get("errors", []):
		said += "; " + fault["pointer"] + " " + fault["detail"]
	return said


func _pause(headers):
	for line in headers:
		var at = line.find(":")
		if line.substr(0, at).to_lower() == "retry-after":
			return int(line.substr(at + 1, line.length())) * 1000
	return PAUSE
