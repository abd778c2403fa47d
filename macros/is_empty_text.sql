{% macro is_empty_text(text, is_trimmed=false) -%}
    {%- set value = text if is_trimmed else 'trim(' ~ text ~ ')' -%}
    {%- set literals = ["''"] -%}
    {%- set lengths = [0] -%}
    {%- for word in rule_variable('empty_words') -%}
        {%- do literals.append(text_literal(word | lower)) -%}
        {%- do lengths.append(word | length) -%}
    {%- endfor -%}
    (
        {{ text }} is null
        or (
            char_length({{ value }}) <= {{ lengths | max }}
            and lower({{ value }}) in ({{ literals | join(', ') }})
        )
    )
{%- endmacro %}
