"""Do the published numbers on teacher-student relationships hold?"""
