@tool
extends Object
## GLB files as nodes, at the size in metres that they have.

## The suffix that the server gives convex collision shapes; the editor's importer knows it too.
const SOLID := "-convcolonly"


## The object in a GLB, with a StaticBody3D for each collision shape. null if it cannot be read.
static func load_glb(path: String) -> Node3D:
	var state := GLTFState.new()
	state.handle_binary_image = GLTFState.HANDLE_BINARY_EMBED_AS_UNCOMPRESSED
	var document := GLTFDocument.new()
	if document.append_from_buffer(FileAccess.get_file_as_bytes(path), "", state) != OK:
		return null
	var root := document.generate_scene(state) as Node3D
	if root == null:
		return null
	root.name = path.get_file().get_basename()
	for node in root.find_children("*", "", true, false):
		_replace(node)
	return root


## Let `node`, which has been added below `root`, be saved with that scene.
static func own(node: Node, root: Node) -> void:
	node.owner = root
	if node.scene_file_path == "":
		for child in node.get_children():
			own(child, root)


static func _replace(node: Node) -> void:
	var mesh: Mesh = null
	if node is MeshInstance3D:
		mesh = node.mesh
	elif node is ImporterMeshInstance3D:  # what GLTFDocument makes within the editor, and nothing draws
		mesh = node.mesh.get_mesh()
	if mesh == null:
		return
	if node.name.ends_with(SOLID):
		_put(node, _body(mesh), String(node.name).trim_suffix(SOLID))
	elif node is ImporterMeshInstance3D:
		var instance := MeshInstance3D.new()
		instance.mesh = mesh
		_put(node, instance, node.name)


static func _body(mesh: Mesh) -> StaticBody3D:
	var shape := CollisionShape3D.new()
	shape.name = "shape"
	shape.shape = mesh.create_convex_shape()
	var body := StaticBody3D.new()
	body.add_child(shape)
	return body


static func _put(old: Node3D, new: Node3D, name: String) -> void:
	new.transform = old.transform
	old.replace_by(new)
	new.name = name
	old.free()
