# Run by Godot 4 in a browser: the plugin's dock, client and placing against the server that the page is from. Prints what it found.
extends Node

const Client := preload("res://addons/meshwright/client.gd")
const Dock := preload("res://addons/meshwright/dock.gd")
const Place := preload("res://addons/meshwright/place.gd")
const FOLDER := "user://made"

var found := {}
var dock := Dock.new()


func _ready() -> void:
	dock.folder = FOLDER
	add_child(dock)
	dock.address.text = JavaScriptBridge.eval("location.origin")
	await _say_nothing()
	await _make()
	await _again_and_stop()
	await _refused()
	_importer_meshes()
	print("FOUND " + JSON.stringify(found))


func _say_nothing() -> void:
	dock.make.pressed.emit()
	await get_tree().process_frame
	found["nothing"] = dock.said.text


func _make() -> void:
	var paths: Array[String] = []
	var shown := {}
	dock.made.connect(func(path: String) -> void: paths.append(path))
	dock.client.changed.connect(func(task: Client.Task) -> void: shown[task.text] = dock.progress.value)
	dock.prompt.text = "a red chair"
	dock.seed_box.value = 3
	dock.make.pressed.emit()
	found["buttons"] = [dock.make.visible, dock.cancel.visible, dock.progress.visible]
	while paths.is_empty() and not dock.make.visible:
		await get_tree().process_frame
	found["said"] = dock.said.text
	found["shown"] = shown
	found["paths"] = paths
	if paths.is_empty():
		return
	found["bytes"] = FileAccess.get_file_as_bytes(paths[0]).size()
	var object := Place.load_glb(paths[0])
	add_child(object)
	Place.own(object, self)
	var box := AABB()
	var nodes := []
	for node in object.find_children("*", "", true, false):
		nodes.append([node.get_class(), node.name, node.owner == self])
		if node is MeshInstance3D:
			var own: AABB = node.global_transform * node.mesh.get_aabb()
			box = own if box.size == Vector3.ZERO else box.merge(own)
			found["textured"] = node.mesh.surface_get_material(0).albedo_texture != null
		if node is CollisionShape3D:
			found["points"] = node.shape.points.size()
	found["nodes"] = nodes
	found["box"] = [box.position.x, box.position.y, box.position.z, box.end.x, box.end.y, box.end.z]


func _again_and_stop() -> void:
	var client := Client.new()
	client.address = dock.address.text
	add_child(client)
	# The name is taken, so the file gets another one.
	found["second"] = await client.run(client.task({"prompt": "a red chair", "texture": 64}), FOLDER)
	var task := client.task({"prompt": "a chair", "steps": 1000, "prior_steps": 1000})
	client.changed.connect(func(_task: Client.Task) -> void: task.cancel())
	found["stopped"] = [await client.run(task, FOLDER), task.cancelled, task.error]
	found["files"] = DirAccess.get_files_at(FOLDER)


func _refused() -> void:
	dock.client.address = dock.address.text
	var task := dock.client.task({"prompt": "a chair", "seed": -1})
	found["refused"] = [await dock.client.run(task, FOLDER), task.error]


## What GLTFDocument gives within the editor alone.
func _importer_meshes() -> void:
	var mesh := ImporterMesh.new()
	mesh.add_surface(Mesh.PRIMITIVE_TRIANGLES, BoxMesh.new().get_mesh_arrays())
	var root := Node3D.new()
	for each: String in ["chair", "chair_hull_00-convcolonly"]:
		var node := ImporterMeshInstance3D.new()
		node.name = each
		node.mesh = mesh
		node.position.x = 2
		root.add_child(node)
		Place._replace(node)
	found["converted"] = root.get_children().map(func(node: Node3D) -> Array: return [node.get_class(), node.name, node.position.x])
