with

sales_people as (

    select * from {{ ref('stg_retail__sales_people') }}

    where sales_person_id <> -1

),

known_sales_people as (

    select
        sales_person_id,
        {{ full_name() }} as full_name,
        first_name,
        last_name,
        manager_id,
        is_manager,
        address,
        pincode,
        joining_date,
        true as is_known

    from sales_people

),

unknown_member as (

    select
        -1 as sales_person_id,
        {{ unknown_label() }} as full_name,
        {{ unknown_label() }} as first_name,
        cast(null as string) as last_name,
        cast(null as int) as manager_id,
        cast(null as boolean) as is_manager,
        {{ unknown_label() }} as address,
        {{ unknown_label() }} as pincode,
        cast(null as date) as joining_date,
        false as is_known

),

dim_sales_people as (

    select * from known_sales_people
    union all
    select * from unknown_member

)

select * from dim_sales_people
