# Profile-guided optimisation, with gcc: GW_PROFILE is a folder, into which a program of GW_PROFILE_USE=OFF writes what it did when it
# ends, and from which a build of GW_PROFILE_USE=ON learns what is done often. tools/build-pgo goes through both.
set(GW_PROFILE "" CACHE PATH "Folder of the profile")
option(GW_PROFILE_USE "Optimise for the profile (otherwise: record it)" OFF)

if(GW_PROFILE)
	# Two build folders name their objects alike; the worker threads count exactly; code that was not exercised is
	# optimised as ever, not for size.
	set(profile_options -fprofile-prefix-path=${CMAKE_BINARY_DIR})
	if(GW_PROFILE_USE)
		list(APPEND profile_options -fprofile-use=${GW_PROFILE} -fprofile-partial-training -Wno-missing-profile)
	else()
		list(APPEND profile_options -fprofile-generate=${GW_PROFILE} -fprofile-update=atomic)
	endif()
	target_compile_options(gw_flags INTERFACE ${profile_options})
	target_link_options(gw_flags INTERFACE ${profile_options})
endif()
